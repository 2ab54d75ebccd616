"""AdaRound against brute force over all roundings, and its gradient against differences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import AdaptivFloatGrid, AdaRound, MSEGrid, adaround, prune, quantize
from psgd_ref.compress.post_training.adaround import _penalty_slope, _rounding
from psgd_ref.nn import Linear, Model, Sequential
from tests.compress.networks import trained_like

INPUTS = 6


def one_layer(seed):
    """A linear layer, correlated inputs, its squared error as a function of codes, and the nearest codes."""
    rng = np.random.default_rng(seed)
    model = Model(Sequential({"fc": Linear(INPUTS, 1)}), seed, np.float64)
    x = rng.normal(size=(64, INPUTS)) @ rng.normal(size=(INPUTS, INPUTS))
    tensor = quantize(model, 4, MSEGrid).quantized["fc.weight"]
    w = model.net.layers["fc"].weight.value
    return model, x, lambda codes: float(np.square(x @ (codes * tensor.scale - w)).sum(1).mean()), tensor


@pytest.mark.parametrize("seed", range(6))
def test_it_is_between_the_best_of_all_roundings_and_the_nearest(seed):
    model, x, error, nearest = one_layer(seed)
    floor = np.floor(model.net.layers["fc"].weight.value / nearest.scale)
    every = [np.clip(floor + np.reshape(up, floor.shape), -7, 7) for up in product((0, 1), repeat=INPUTS)]
    codes = adaround(model, x, 4, options=AdaRound(steps=300)).quantized["fc.weight"].codes
    assert any(np.array_equal(codes, one) for one in every)
    assert min(map(error, every)) - 1e-12 <= error(codes) <= error(nearest.codes) + 1e-12


def test_on_most_problems_it_finds_the_best_rounding_and_on_some_the_nearest_is_not_it():
    found, better = 0, 0
    for seed in range(12):
        model, x, error, nearest = one_layer(seed)
        floor = np.floor(model.net.layers["fc"].weight.value / nearest.scale)
        best = min(
            error(np.clip(floor + np.reshape(up, floor.shape), -7, 7))
            for up in product((0, 1), repeat=INPUTS)
        )
        codes = adaround(model, x, 4, options=AdaRound(steps=300)).quantized["fc.weight"].codes
        found += error(codes) <= best + 1e-12
        better += error(codes) < error(nearest.codes) - 1e-12
    assert found >= 8
    assert better >= 2


@given(st.floats(-4, 4), st.floats(0.2, 1))
def test_slopes_are_those_of_the_formulas(v, done):
    h, slope = (float(value) for value in _rounding(np.array(v)))
    rise = (_rounding(np.array(v + 1e-6))[0] - _rounding(np.array(v - 1e-6))[0]) / 2e-6
    assert 0 <= h <= 1
    assert h in (0, 1) or abs(h - 0.5) > 0.499 or slope == pytest.approx(float(rise), abs=1e-4)
    part = (done - 0.2) / 0.8
    power = 2 + 9 * (1 + np.cos(np.pi * part))
    penalty = lambda at: 1 - abs(2 * at - 1) ** power  # noqa: E731
    if 0.01 < h < 0.99:
        want = (penalty(h + 1e-6) - penalty(h - 1e-6)) / 2e-6
        assert float(_penalty_slope(np.array(h), done)) == pytest.approx(want, abs=1e-3)


@settings(max_examples=3, deadline=None)
@given(st.sampled_from(["convnet", "resnet"]), st.integers(0, 5))
def test_every_code_is_one_of_the_two_neighbours_and_the_model_stays(name, seed):
    model, images = trained_like(name, seed)
    before = model.w.copy()
    rounded = adaround(model, images, 3, options=AdaRound(steps=20, seed=seed))
    nearest = quantize(model, 3, MSEGrid)
    assert np.array_equal(model.w, before)
    assert rounded.quantized.keys() == nearest.quantized.keys()
    for key, tensor in rounded.quantized.items():
        assert np.abs(tensor.codes - nearest.quantized[key].codes).max() <= 1
        assert np.abs(tensor.codes).max() <= 2 ** (tensor.bits - 1) - 1
        assert np.array_equal(rounded.segment(key).view(rounded.w), tensor.values)


def test_layers_outputs_are_closer_at_two_bits():
    model, images = trained_like("convnet", 0)
    wanted = model.forward(images)
    by_nearest = np.square(quantize(model, 2, MSEGrid).forward(images) - wanted).mean()
    learned = adaround(model, images, 2, options=AdaRound(steps=300))
    assert np.square(learned.forward(images) - wanted).mean() < 0.5 * by_nearest


def test_the_same_seed_gives_the_same_codes():
    model, images = trained_like("mlp", 0)
    one, other = (adaround(model, images, 3, options=AdaRound(steps=30)) for _ in range(2))
    assert one.w.tobytes() == other.w.tobytes()


def test_bad_input_is_refused():
    model, images = trained_like("mlp", 0)
    for call, message in (
        (lambda: adaround(model, images[:0]), "at least one"),
        (lambda: adaround(prune(model, 0.5), images), "pruned"),
        (lambda: adaround(model, images, 4, AdaptivFloatGrid), "uniform"),
        (lambda: AdaRound(steps=0), "steps"),
        (lambda: AdaRound(lr=0.0), "lr"),
        (lambda: AdaRound(penalty=-1.0), "penalty"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
