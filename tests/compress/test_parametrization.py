"""Powerpropagation and spred: the same function, the right gradients, and the claims about their steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import powerpropagation, prune, remove_parametrizations, spred
from psgd_ref.compress.pruning.powerpropagation import Powerpropagation
from psgd_ref.compress.pruning.prune import weight_segments
from psgd_ref.core import Zero
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, SGD

WAYS = {
    "alpha 1": lambda model: powerpropagation(model, 1),
    "alpha 2": lambda model: powerpropagation(model, 2),
    "alpha 5": lambda model: powerpropagation(model, 5),
    "balanced": spred,
    "one": lambda model: spred(model, "one"),
}


def batch(shape, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.integers(0, classes, shape[0])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_function_stays_and_folding_gives_the_weights_back(way):
    model = convnet(widths=(3, 4), dtype=np.float64)
    x, _ = batch((4, 6, 6, 1))
    other = way(model)
    assert np.allclose(other.forward(x), model.forward(x), atol=1e-12)
    folded = remove_parametrizations(other)
    assert [part.name for part in folded.segments] == [part.name for part in model.segments]
    assert np.allclose(folded.w, model.w, atol=1e-15)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_gradients_are_those_of_differences(way):
    model = way(mlp((4, 3, 3), seed=2, dtype=np.float64))
    x, y = batch((5, 4))
    model.loss_and_grad(x, y)
    g, direction, h = model.g.copy(), np.random.default_rng(1).normal(size=model.w.size), 1e-6
    losses = []
    for sign in (1, -1):
        probe = model.copy()
        probe.w += sign * h * direction
        losses.append(probe.loss_and_grad(x, y))
    assert np.isclose((losses[0] - losses[1]) / (2 * h), g @ direction, rtol=1e-6, atol=1e-9)


@settings(max_examples=20)
@given(lr=st.floats(0.01, 2), strength=st.floats(0.1, 8), seed=st.integers(0, 99))
def test_one_step_at_alpha_2_is_warped_gradient_descent(lr, strength, seed):
    """Claim G1, through the network and the optimisers: rate ηλ/4 in θ is a warped step towards 0."""
    model = mlp((5, 4, 3), seed=seed, dtype=np.float64)
    x, y = batch((6, 5), seed=seed)
    theta = powerpropagation(model, 2)
    theta.loss_and_grad(x, y)
    step = SGD(lr * strength / 4, momentum=0, weight_decay=0)
    step.update(theta, step.init(theta))
    model.loss_and_grad(x, y)
    warped = PSGD(lr, momentum=0, weight_decay=0, grid=Zero(), strength=strength, discretization="warp")
    warped.update(model, warped.init(model))
    folded = remove_parametrizations(theta)
    for part in weight_segments(model):
        assert np.allclose(folded.w[part.span], model.w[part.span], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_a_balanced_step_of_spred_is_powerpropagation_at_half_the_rate(lr):
    x, y = batch((6, 5))
    ends = []
    for way, rate in ((spred, lr), (lambda model: powerpropagation(model, 2), lr / 2)):
        model = way(mlp((5, 4, 3), dtype=np.float64))
        model.loss_and_grad(x, y)
        step = SGD(rate, momentum=0, weight_decay=0)
        step.update(model, step.init(model))
        ends.append(remove_parametrizations(model))
    one, two = (np.concatenate([end.w[part.span] for part in weight_segments(end)]) for end in ends)
    assert np.allclose(one, two, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("start", ["balanced", "one"])
def test_decay_of_both_factors_is_lasso(start):
    """At rest on ½h(w − c)², decay κ on m and θ leaves the soft threshold c − κ/h (Ziyin and Wang 2023)."""
    model = spred(mlp((3, 2), dtype=np.float64), start)
    weight, factor = (model.segment(f"fc1.{name}") for name in ("weight", "weight_quantizer.factor"))
    c, h, weight_decay = np.array([[0.8, -0.6], [0.3, -0.05], [0.02, 1.5]]), 1.0, 0.1
    w = np.sign(c) * 0.7
    root = np.sqrt(np.abs(w)) if start == "balanced" else np.ones_like(w)
    factor.view(model.w)[...], weight.view(model.w)[...] = root, w / root
    step = SGD(0.2, momentum=0, weight_decay=weight_decay)
    state = step.init(model)
    for _ in range(4000):
        m, theta = factor.view(model.w), weight.view(model.w)
        slope = h * (m * theta - c)
        model.g[...] = 0
        factor.view(model.g)[...], weight.view(model.g)[...] = slope * theta, slope * m
        step.update(model, state)
    expected = np.sign(c) * np.maximum(np.abs(c) - weight_decay / h, 0)
    assert np.allclose(
        remove_parametrizations(model).segment("fc1.weight").view(remove_parametrizations(model).w),
        expected,
        atol=1e-6,
    )


def test_folding_keeps_a_mask():
    pruned = prune(powerpropagation(convnet(), 2), 0.8)
    folded = remove_parametrizations(pruned)
    assert np.array_equal(folded.mask, pruned.mask)
    assert not folded.w[~folded.mask].any()


@pytest.mark.parametrize("alpha", [0.9, 5.1, "2", None])
def test_other_exponents_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        Powerpropagation(alpha)


def test_other_starts_are_refused():
    with pytest.raises(ValueError, match="start"):
        spred(mlp(), "two")
