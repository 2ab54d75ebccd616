"""The chain against its formulas, its options, its state, and its refusals."""

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.core import UniformGrid, Warp, Zero, mirror_step, psgd_step, warped_step
from psgd_ref.models import mlp
from psgd_ref.training import PSGD, QAT, SGD, Adam, PSGDAdam, constant, cosine, piecewise, ramp

RNG = np.random.default_rng(0)


def model_with_gradient(seed=0):
    model = mlp((5, 4, 6, 3), seed=seed, dtype=np.float64)
    rng = np.random.default_rng(seed + 1)
    model.w[...] += 0.1 * rng.normal(size=model.w.size)
    model.g[...] = rng.normal(size=model.w.size)
    return model


def expected(model, step, bits, lr, **warp):
    """One step by the formulas of `core`, 8 bits in the outer layers, biases as in SGD."""
    out = model.w.copy()
    for segment in model.segments:
        if segment.role != "weight":
            segment.view(out)[...] -= lr * segment.view(model.g)
            continue
        width = bits if bits >= 4 or segment.name.startswith("fc2") else 8
        w, g = segment.view(model.w), segment.view(model.g)
        levels = 2 ** (width - 1) - 1
        grid = UniformGrid(np.abs(w).max() / levels, levels)
        segment.view(out)[...] = step(w, g, lr, Warp(grid, **warp))
    return out


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize(
    ("name", "step"), [("psgd", psgd_step), ("warp", warped_step), ("mirror", mirror_step)]
)
@pytest.mark.parametrize("options", [{"strength": 3.0}, {"eps": 0.01, "strength": "volume"}])
def test_one_plain_step_is_the_step_of_core(bits, name, step, options):
    model = model_with_gradient()
    want = expected(model, step, bits, 0.05, **options)
    optimizer = PSGD(0.05, momentum=0, weight_decay=0, grid=MinMaxGrid(bits), discretization=name, **options)
    optimizer.update(model, optimizer.init(model))
    assert np.allclose(model.w, want, rtol=1e-12, atol=1e-14)


def scale_towards_zero(model, w, strength):
    """λ|w| for weights, 1 for biases, which zero is no target of."""
    scale = np.ones_like(w)
    for segment in model.segments:
        if segment.role == "weight":
            scale[segment.span] = strength * np.abs(w[segment.span])
    return scale


def test_default_order_scales_the_gradient_then_adds_decay_then_averages():
    model = model_with_gradient()
    optimizer = PSGD(0.1, momentum=0.9, weight_decay=0.01, grid=Zero(), strength=2.0)
    state, velocity = optimizer.init(model), np.zeros_like(model.w)
    for _ in range(3):
        w = model.w.copy()
        velocity = 0.9 * velocity + scale_towards_zero(model, w, 2) * model.g + 0.01 * w
        optimizer.update(model, state)
        assert np.allclose(model.w, w - 0.1 * velocity)


def test_other_orders():
    model = model_with_gradient()
    options = {"momentum": 0.5, "weight_decay": 0.01, "grid": Zero(), "strength": 2.0}
    w, g = model.w.copy(), model.g.copy()
    optimizer = PSGD(0.1, decay_order="scaled", momentum_order="gradient", **options)
    state = optimizer.init(model)
    optimizer.update(model, state)
    first = g + 0.01 * w
    assert np.allclose(model.w, w - 0.1 * scale_towards_zero(model, w, 2) * first)
    after = model.w.copy()
    optimizer.update(model, state)
    second = 0.5 * first + g + 0.01 * after
    assert np.allclose(model.w, after - 0.1 * scale_towards_zero(model, after, 2) * second)


def test_sgd_is_pytorch_rule_with_momentum_and_decay():
    model = model_with_gradient()
    optimizer = SGD(0.1, momentum=0.9, weight_decay=0.01)
    state, velocity = optimizer.init(model), np.zeros_like(model.w)
    for _ in range(3):
        w = model.w.copy()
        velocity = 0.9 * velocity + model.g + 0.01 * w
        optimizer.update(model, state)
        assert np.allclose(model.w, w - 0.1 * velocity)


def test_adam_first_step_has_length_lr():
    model = model_with_gradient()
    before = model.w.copy()
    optimizer = Adam(0.01)
    optimizer.update(model, optimizer.init(model))
    assert np.allclose(np.abs(model.w - before), 0.01, rtol=1e-5)


def test_mean_one_strength_keeps_the_effective_rate():
    model = model_with_gradient()
    optimizer = PSGD(0.2, grid=MinMaxGrid(4), strength="mean-one")
    rates = optimizer.effective_rates(model, optimizer.init(model))
    assert rates == pytest.approx(dict.fromkeys(rates, 0.2))


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1, momentum=0.9, weight_decay=0.01),
        SGD(0.1, momentum=0, weight_decay=0),
        PSGD(0.1, grid=MinMaxGrid(3), eps=0.02, weight_decay=0.01),
        PSGD(0.1, grid=MinMaxGrid(4, per_channel=True), strength=7.0, momentum=0, cap=True),
        PSGD(0.1, grid=Zero(), strength=2.0, eps=0.1),
        PSGD(0.1, grid=MSEGrid(3), strength=3.0, refresh="learned", cap=True),
        PSGD(0.1, grid=MinMaxGrid(2, per_channel=True), strength=3.0, refresh="learned", cap=True),
        PSGD(0.1, grid=MinMaxGrid(3), weight_decay=0.3, decay_target="grid", eps=0.01),
        PSGD(0.1, 0.5, ramp(0.5, 3), MSEGrid(2), refresh="learned", cap=True, decay_target="grid"),
        PSGD(0.1, 0.5, 0.2, MinMaxGrid(2, True), refresh="learned", cap=True, decay_target="grid"),
        SGD(0.1, 0.9, ramp(0.1, 2)),
    ],
)
def test_the_fused_step_is_the_chain(optimizer):
    from psgd_ref.models import convnet

    one = convnet(seed=1)
    rng = np.random.default_rng(2)
    one.w[...] += 0.1 * rng.normal(size=one.w.size)
    first = optimizer.init(one)
    assert optimizer.fused is not None
    for _ in range(4):
        one.g[...] = rng.normal(size=one.w.size)
        two, second = one.copy(), {name: value.copy() for name, value in first.items()}
        two.g[...] = one.g
        optimizer.update(one, first)
        optimizer.apply_chain(two, second)
        second["step"] += 1
        # A learned Δ has 24 bits here and 53 in the chain: times code 127 and λ* = 8/Δ that is some 1e-5.
        assert np.allclose(one.w, two.w, rtol=1e-5, atol=3e-5)
        assert all(np.allclose(first[name], second[name], rtol=1e-5, atol=3e-4) for name in second)


@pytest.mark.parametrize("refresh", [1, "learned"])
def test_a_weight_that_somebody_writes_counts_at_the_next_step(refresh):
    one = mlp((4, 3, 2), seed=1)
    optimizer = PSGD(0.01, grid=MinMaxGrid(3), refresh=refresh)
    first = optimizer.init(one)
    for k in range(3):
        one.w[2 * k] = 3 - k
        two, second = one.copy(), {name: value.copy() for name, value in first.items()}
        one.g[...] = two.g[...] = 1
        optimizer.update(one, first)
        optimizer.apply_chain(two, second)
        assert np.allclose(one.w, two.w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grid", [MinMaxGrid(3), MinMaxGrid(3, per_channel=True), Zero()])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_fused_step_refuses_what_the_chain_refuses(grid, value):
    model, optimizer = mlp((4, 3, 2)), PSGD(0.1, grid=grid, strength=1.0)
    state = optimizer.init(model)
    model.w[5] = value
    messages = []
    for step in (optimizer.update, optimizer.apply_chain):
        with pytest.raises(ValueError, match="finite") as error:
            step(model, state)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "options",
    [
        {"discretization": "warp"},
        {"refresh": 2},
        {"refresh": "ema"},
        {"strength": "mean-one"},
        {"decay_order": "scaled"},
        {"momentum_order": "gradient"},
        {"grid": MSEGrid(4)},
    ],
)
def test_other_chains_are_not_fused(options):
    assert PSGD(**{"grid": MinMaxGrid(4), **options}).fused is None


def test_biases_and_batch_norms_are_not_scaled():
    from psgd_ref.models import convnet

    model = convnet()
    optimizer = PSGD(0.2, grid=MinMaxGrid(4))
    rates = optimizer.effective_rates(model, optimizer.init(model))
    assert {name for name, rate in rates.items() if rate == 0.2} == {
        segment.name for segment in model.segments if segment.role != "weight"
    }


def test_refresh_every_k_steps_keeps_the_grid_between():
    model = model_with_gradient()
    optimizer = PSGD(0.05, momentum=0, weight_decay=0, grid=MinMaxGrid(4), refresh=3)
    state = optimizer.init(model)
    steps = []
    for _ in range(7):
        # Unscaled, the largest weight would never move: it is a target of its own grid.
        model.w *= 1.01
        optimizer.update(model, state)
        steps.append(optimizer.position.targets(model, optimizer.position_state(state))[0].step)
    assert steps[0] == steps[1] == steps[2] != steps[3] == steps[4] == steps[5] != steps[6]


def test_ema_refresh_averages_the_step():
    model = model_with_gradient()
    optimizer = PSGD(0.0, grid=MinMaxGrid(4), refresh="ema")
    state = optimizer.init(model)
    before = optimizer.position.targets(model, optimizer.position_state(state))[0].step
    model.w *= 2
    optimizer.update(model, state)
    assert optimizer.position.targets(model, optimizer.position_state(state))[0].step == pytest.approx(
        1.1 * before
    )


def test_per_channel_targets_scale_each_channel_by_its_own_grid():
    model = model_with_gradient()
    before = model.w.copy()
    optimizer = PSGD(0.1, momentum=0, weight_decay=0, grid=MinMaxGrid(4, per_channel=True), strength=5.0)
    optimizer.update(model, optimizer.init(model))
    segment = model.segment("fc2.weight")
    for channel in range(6):
        w, g = segment.view(before)[:, channel], segment.view(model.g)[:, channel]
        grid = UniformGrid(np.abs(w).max() / 7, 7)
        want = psgd_step(w, g, 0.1, Warp(grid, strength=5.0))
        assert np.allclose(segment.view(model.w)[:, channel], want)


def test_a_state_that_is_copied_replays_the_same_steps():
    for optimizer in (PSGD(0.1, grid=MinMaxGrid(3), refresh=2), Adam(), SGD()):
        model = model_with_gradient()
        state = optimizer.init(model)
        optimizer.update(model, state)
        copied, copied_state = model.copy(), {name: value.copy() for name, value in state.items()}
        copied.g[...] = model.g
        for _ in range(3):
            optimizer.update(model, state)
            optimizer.update(copied, copied_state)
        assert np.array_equal(model.w, copied.w)


def test_schedules():
    assert [constant(0.5)(k) for k in (0, 9)] == [0.5, 0.5]
    assert [piecewise(1, [2, 4])(k) for k in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    rate = cosine(2.0, 10, warmup=2)
    assert [rate(0), rate(1), rate(2), rate(6), rate(10), rate(99)] == pytest.approx([1, 2, 2, 1, 0, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SGD(lr=-0.1), "lr must be a finite number >= 0; got -0.1"),
        (lambda: SGD(momentum=1.0), r"\[0, 1\)"),
        (lambda: SGD(weight_decay=float("nan")), "weight_decay"),
        (PSGD, "needs a grid"),
        (lambda: PSGD(grid="min-max"), "grid must be a rule such as .*; got 'min-max'"),
        (lambda: PSGD(grid=MinMaxGrid), "grid must be a rule such as .*; got MinMaxGrid"),
        (lambda: PSGD(grid=4.0), "got 4.0"),
        (lambda: PSGD(grid=True), "got True"),
        (lambda: PSGD(grid=1), r"bits must be a whole number in 2\.\.16; got 1"),
        (lambda: PSGD(grid={"fc1.weight": 4.5}), "got 4.5"),
        (lambda: PSGDAdam(grid=Zero), "got Zero"),
        (lambda: QAT(grid="mse"), "got 'mse'"),
        (lambda: PSGD(grid=MinMaxGrid(4), eps=-1), "eps"),
        (lambda: PSGD(grid=MinMaxGrid(4), strength="strong"), "volume, mean-one"),
        (lambda: PSGD(grid=MinMaxGrid(4), strength=-1.0), "strength"),
        (
            lambda: PSGD(grid=MinMaxGrid(4), strength="mean-one", discretization="warp"),
            "discretization 'warp'",
        ),
        (lambda: PSGD(grid=MinMaxGrid(4), discretization="leap"), "psgd, warp, mirror"),
        (lambda: PSGD(grid=MinMaxGrid(4), refresh=0), "refresh"),
        (lambda: PSGD(grid=MinMaxGrid(4), refresh="often"), "ema"),
        (lambda: PSGD(grid=MinMaxGrid(4), decay_order="none"), "unscaled, scaled"),
        (lambda: PSGD(grid=MinMaxGrid(4), momentum_order="no"), "scaled, gradient"),
        (lambda: PSGD(grid=Zero(), refresh="ema").init(mlp()), "uniform grid"),
        (lambda: Adam(beta2=1.0), "beta2"),
        (lambda: cosine(0.1, 0), "steps"),
        (lambda: piecewise(0.1, [3, 2]), "increase"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
