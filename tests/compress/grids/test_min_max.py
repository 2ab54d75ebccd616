"""The min-max grid: its formula, its worst error, and its moving average in training."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import MinMaxGrid, calibrated, quantize_tensor
from psgd_ref.compress.post_training.activations import BATCH_SIZE
from psgd_ref.models import mlp
from psgd_ref.training import PSGD
from tests.compress.networks import trained_like
from tests.compress.tensors import weights

settings.register_profile("min-max", deadline=None, derandomize=True, max_examples=60)
PROFILE = settings.get_profile("min-max")


@settings(PROFILE)
@given(weights, st.integers(2, 16), st.booleans())
def test_min_max_error_is_at_most_half_a_step(w, bits, per_channel):
    tensor = quantize_tensor(w, MinMaxGrid(bits, per_channel))
    slack = 1e-5 * np.abs(w).max(initial=0)
    assert (np.abs(w - tensor.values) <= tensor.scale / 2 + slack).all()


@settings(PROFILE)
@given(weights, st.integers(2, 10))
def test_quantizing_twice_changes_nothing(w, bits):
    once = quantize_tensor(w, MinMaxGrid(bits))
    again = quantize_tensor(once.values, MinMaxGrid(bits))
    assert np.array_equal(once.codes, again.codes)


def test_min_max_step_is_the_formula():
    assert MinMaxGrid(3).fit(np.array([0.5, -1.5])).step == 0.5
    assert MinMaxGrid(8).fit(np.array([-127.0])).step == 1.0


def test_the_moving_average_of_the_step_is_the_recursion():
    """As in the official code: a tenth of each new range, from the first one on."""
    model, rng = mlp((4, 5, 3), dtype=np.float64), np.random.default_rng(0)
    optimizer = PSGD(0.0, grid=MinMaxGrid(4), refresh="ema")
    state = optimizer.init(model)
    parts = [part for part in model.segments if part.role == "weight"]
    average = [np.abs(part.view(model.w)).max() / 7 for part in parts]
    for _ in range(6):
        model.w[...] = rng.normal(size=model.w.size)
        optimizer.update(model, state)
        fresh = [np.abs(part.view(model.w)).max() / 7 for part in parts]
        average = [0.9 * old + 0.1 * new for old, new in zip(average, fresh, strict=True)]
    names = [part.name for part in parts]
    steps = dict(zip(names, optimizer.position.targets(model, optimizer.position_state(state)), strict=True))
    assert np.allclose([steps[part.name].step for part in parts], average)


def test_the_moving_average_of_activations_is_the_recursion():
    model, images = trained_like("mlp")
    images = (
        np.random.default_rng(0).normal(size=(3 * BATCH_SIZE, 64)) * np.repeat([1, 3, 2], BATCH_SIZE)[:, None]
    )
    w, b = (model.segment(f"fc1.{name}").view(model.w) for name in ("weight", "bias"))
    tops = [np.maximum(x @ w + b, 0).max() for x in np.split(images, 3)]
    expected = 0.9 * (0.9 * tops[0] + 0.1 * tops[1]) + 0.1 * tops[2]
    assert np.isclose(calibrated(model, images, 8, "ema")["fc2"].top, expected)
    assert np.isclose(calibrated(model, images, 8, "max")["fc2"].top, max(tops))
