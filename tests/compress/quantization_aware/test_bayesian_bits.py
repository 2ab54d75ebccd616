"""Bayesian Bits: worked residuals, nesting, gates, their gradients, and the two phases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.compress import hard_concrete
from psgd_ref.compress.multiplications import multiplications
from psgd_ref.compress.quantization_aware.bayesian_bits import (
    BayesianBits,
    BitCost,
    chosen_bits,
    fix_gates,
    nested_rounding,
)
from psgd_ref.compress.quantization_aware.fake_quantizer import fake_quantizers, insert_fake_quantizers
from psgd_ref.data import load_digits
from psgd_ref.kernels.reference import nested_terms
from psgd_ref.laws import Subject, check
from psgd_ref.models import convnet
from psgd_ref.training import SGD, CrossEntropy, Penalized, Recipe
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress
from tests.compress.quantization_aware.surrogates import alone, check_backward

DATA = load_digits()


def test_worked_residuals():
    terms = nested_terms(np.array([0.4321, -0.7777, 0.05]), -1.0, 1.0, 3)
    assert np.allclose(terms[0], [2 / 3, -2 / 3, 0])
    assert np.allclose(terms[1], [-0.266667, -0.133333, 0], atol=1e-6)
    assert np.allclose(terms[2], [0.031373, 0.023529, 0.047059], atol=1e-6)


@given(seed=st.integers(0, 1000), bits=st.sampled_from([2, 4, 8, 16]))
def test_open_gates_round_plainly(seed, bits):
    w = np.random.default_rng(seed).uniform(-1.3, 1.3, 50)
    step = 2 / (2**bits - 1)
    plain = step * np.clip(np.rint(w / step), -(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1)
    assert np.allclose(nested_rounding(w, -1.0, 1.0, bits), plain, atol=1e-9)


def test_the_ledgers_law_holds():
    (outcome,) = check(Subject(nested_rounding=nested_rounding), ["H2"], examples=20).outcomes
    assert "nested_rounding" not in outcome.missing
    assert outcome.counterexample == ""


def nested(terms, gates):
    """x₂ + z₄ (ε₄ + z₈ (ε₈ + …)), as it is written."""
    total = terms[-1]
    for term, z in zip(reversed(terms[:-1]), reversed(gates), strict=True):
        total = term + z * total
    return total


@pytest.mark.parametrize("gates", [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_a_shut_gate_shuts_all_behind_it(gates):
    x = np.linspace(-0.99, 0.99, 31)
    expected = nested(nested_terms(x, -1.0, 1.0, 3), np.array(gates))
    assert np.allclose(kernels.nested_round(x, -1.0, 1.0, np.array(gates)), expected)


@pytest.mark.parametrize(("signed", "channels"), [(True, 4), (False, 0)])
def test_backward_is_that_of_frozen_roundings_and_this_draw(signed, channels):
    x = np.random.default_rng(3).uniform(-1.4 if signed else 0.0, 1.4, (5, 4))
    layer = BayesianBits(8, 1.0, signed, channels)
    u = hard_concrete.uniform(0, 0, (2 + channels,))
    low = -1.0 if signed else 0.0
    inside = np.clip(x, low, 1.0)
    terms = nested_terms(np.clip(x, low * (1 - 1e-7), 1 - 1e-7), low, 1.0, 3)
    # What each width leaves of x, in units of the reach: frozen, as every rounding error is.
    errors = np.cumsum(terms, axis=0) - inside

    def surrogate(x_, p):
        cut = np.where(x == inside, x_, np.sign(x) * p["reach"])
        sums = [cut + error * p["reach"] for error in errors]
        z = hard_concrete.gate(p["gates"], u[:2])[0]
        prune = hard_concrete.gate(p["prune"], u[2:])[0] if channels else 1.0
        return prune * nested([sums[0], sums[1] - sums[0], sums[2] - sums[1]], z)

    # Logits at which these draws leave every gate between 0 and 1.
    values = {"gates": -np.log(u[:2] / (1 - u[:2])) + [0.3, -0.4]}
    if channels:
        values["prune"] = -np.log(u[2:] / (1 - u[2:])) + 0.2
    check_backward(layer, surrogate, x, values, rtol=1e-4)


def test_test_time_gates_follow_the_threshold():
    layer = BayesianBits(8, 1.0)
    model = alone(layer, {"gates": [-0.93, -0.94]})
    assert list(layer.open_gates()[0]) == [True, False]
    x = np.linspace(-1, 1, 41)
    assert np.allclose(layer.forward(x, False)[0], nested_rounding(x, -1.0, 1.0, 4))
    assert model.buffers["q.count"] == 0


def prepared(seed=0):
    model = convnet(widths=(4, 6), seed=0)
    images = DATA.normalise(DATA.train.images[:50])
    insert_fake_quantizers(model, BayesianBits, 8, 8, images, seed)
    return model, BitCost(0.05, multiplications(model, images[0]))


def test_the_cost_is_its_formula_and_its_gradient():
    model, cost = prepared()
    logits = [segment for segment in model.segments if segment.name.endswith(("gates", "prune"))]
    rng = np.random.default_rng(0)
    for segment in logits:
        segment.view(model.w)[...] = rng.normal(0, 2, segment.shape)
    expected = 0.0
    for each, q in fake_quantizers(model):
        p4, p8 = hard_concrete.probability_on(q.gates.value)[0]
        kept = hard_concrete.probability_on(q.prune.value)[0].mean() if q.channels else 1.0
        expected += 0.05 * cost.macs[each.name] / 3456 * kept * (2 + 4 * p4 + 8 * p4 * p8)
    model.g[...] = 0
    assert cost(model, 0) == pytest.approx(expected, rel=1e-5)
    gradient, h = model.g.copy(), 1e-2
    for segment in logits:
        for i in range(segment.start, segment.stop):
            ends = []
            for side in (h, -2 * h):
                model.w[i] += side
                ends.append(cost(model, 0))
            model.w[i] += h
            assert gradient[i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-2, abs=2e-5)


def train(model, cost, halfway=None):
    optimizer, objective = SGD(0.05, weight_decay=0.0), Penalized(CrossEntropy(), [cost])
    progress = Progress.of(model, optimizer.init(model), 0)
    if halfway is not None:
        stop = iter([False] * 4 + [True])
        list(
            train_epochs(
                model, optimizer, DATA, progress, 1, Recipe(256), stop=lambda: next(stop), objective=objective
            )
        )
        halfway(model)
    list(train_epochs(model, optimizer, DATA, progress, 1, Recipe(256), objective=objective))
    return model


def test_noise_repeats_bit_for_bit_and_goes_on_where_it_stopped():
    one = train(*prepared())
    assert np.array_equal(one.w, train(*prepared()).w)
    counts = []

    def halfway(model):
        # What a checkpoint does: take the buffers out and put them back.
        saved = {name: value.copy() for name, value in model.buffers.items()}
        for name, buffer in model.buffers.items():
            buffer[...] = -1
            buffer[...] = saved[name]
        counts.extend(float(v) for name, v in saved.items() if name.endswith("count"))

    assert np.array_equal(one.w, train(*prepared(), halfway).w)
    assert set(counts) == {4.0}
    assert not np.array_equal(one.w, train(*prepared(seed=1)).w)


def test_fixed_gates_are_not_random_and_cost_nothing():
    model, cost = prepared()
    images = DATA.normalise(DATA.train.images[:20])
    next(fake_quantizers(model))[1].gates.value[...] = [5.0, -5.0]
    fix_gates(model)
    assert cost(model, 0) == 0
    model.loss_and_grad(images, DATA.train.labels[:20])
    logits = [segment for segment in model.segments if segment.name.endswith(("gates", "prune"))]
    assert all(not segment.view(model.g).any() for segment in logits)
    assert chosen_bits(model)["conv1.weight"] == (4, 1.0)
    assert chosen_bits(model)["conv2.input"] == (8, 1.0)


def test_bits_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="bits must be one of 2, 4, 8, 16"):
        BayesianBits(3, 1.0)
