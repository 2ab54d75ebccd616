"""Grids and quantization: laws of rounding, the best clip by brute force, integers that multiply out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from psgd_ref.compress import (
    MinMaxGrid,
    MSEGrid,
    quantize,
    quantize_tensor,
    reestimate_batch_norm,
    relative_error,
)
from psgd_ref.compress.policy import assign
from psgd_ref.core import UniformGrid, Zero
from psgd_ref.models import convnet, mlp, resnet
from psgd_ref.nn import BatchNorm, Linear, Model, Sequential

settings.register_profile("compress", deadline=None, derandomize=True, max_examples=60)
PROFILE = settings.get_profile("compress")

weights = arrays(
    st.sampled_from([np.float32, np.float64]),
    array_shapes(min_dims=1, max_dims=4, max_side=5),
    elements=st.floats(-1e6, 1e6, width=32),
)
grids = st.builds(
    lambda rule, bits, per_channel: rule(bits, per_channel),
    st.sampled_from([MinMaxGrid, MSEGrid]),
    st.integers(2, 16),
    st.booleans(),
)


@settings(PROFILE)
@given(weights, grids)
def test_codes_times_scale_is_the_quantized_tensor_exactly(w, grid):
    tensor = quantize_tensor(w, grid)
    assert tensor.codes.dtype == (np.int8 if grid.bits <= 8 else np.int16)
    assert np.abs(tensor.codes.astype(int)).max() <= 2 ** (grid.bits - 1) - 1
    assert tensor.scale.dtype == w.dtype
    assert tensor.scale.shape == ((w.shape[-1],) if grid.per_channel and w.ndim > 1 else ())
    assert np.array_equal(tensor.values, tensor.codes.astype(w.dtype) * tensor.scale)


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


@settings(PROFILE)
@given(weights, grids)
def test_quantization_is_odd(w, grid):
    assert np.array_equal(quantize_tensor(w, grid).values, -quantize_tensor(-w, grid).values)


@settings(PROFILE, max_examples=15)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_mse_grid_is_as_good_as_a_brute_force_scan(bits, seed):
    rng = np.random.default_rng(seed)
    w = rng.standard_t(3, size=200)
    levels = 2 ** (bits - 1) - 1

    def error(step):
        return ((w - step * np.clip(np.rint(w / step), -levels, levels)) ** 2).sum()

    brute = min(error(clip / levels) for clip in np.abs(w).max() * np.arange(1, 2001) / 2000)
    assert error(MSEGrid(bits).fit(w).step) <= brute * 1.02
    assert error(MSEGrid(bits).fit(w).step) <= error(MinMaxGrid(bits).fit(w).step)


def test_min_max_step_is_the_formula():
    assert MinMaxGrid(3).fit(np.array([0.5, -1.5])).step == 0.5
    assert MinMaxGrid(8).fit(np.array([-127.0])).step == 1.0


@pytest.mark.parametrize("rule", [MinMaxGrid, MSEGrid])
@pytest.mark.parametrize("w", [np.zeros(5), np.full(3, 1e-40, np.float32), np.array([[3.0]])])
def test_degenerate_tensors_stay_finite(rule, w):
    tensor = quantize_tensor(w, rule(4))
    assert np.isfinite(tensor.values).all()
    assert np.isfinite(8 / tensor.scale)


def test_only_weights_and_linear_biases_are_quantized():
    model = convnet(seed=0)
    rng = np.random.default_rng(0)
    model.w[...] += rng.normal(size=model.w.size).astype(np.float32) / 10
    before = model.w.copy()
    twin = quantize(model, bits=4)
    assert np.array_equal(model.w, before)
    for segment in model.segments:
        changed = not np.array_equal(segment.view(model.w), segment.view(twin.w))
        assert changed == (segment.role != "norm") == (segment.name in twin.quantized)
        if segment.name in twin.quantized:
            assert np.array_equal(twin.quantized[segment.name].values, segment.view(twin.w))


@pytest.mark.parametrize(("bits", "outer"), [(2, 8), (3, 8), (4, 4), (8, 8)])
def test_first_and_last_layer_keep_eight_bits_below_four(bits, outer):
    tensors = quantize(resnet(8), bits).quantized
    widths = {name: tensor.bits for name, tensor in tensors.items()}
    assert widths.pop("conv1.weight") == widths.pop("fc.weight") == widths.pop("fc.bias") == outer
    assert set(widths.values()) == {bits}


def test_fixed_targets_are_assigned_to_every_gridded_segment():
    from psgd_ref.compress.grids import as_grid

    pairs = assign(mlp(), as_grid(UniformGrid(0.1, 1)))
    assert [segment.name for segment, _ in pairs] == [segment.name for segment in mlp().segments]


def test_zero_is_assigned_to_weights():
    from psgd_ref.compress.grids import as_grid

    assert [segment.role for segment, _ in assign(mlp(), as_grid(Zero()))] == ["weight"] * 3


def test_relative_error_of_uniform_weights_is_one():
    model = mlp((8, 300, 300, 8))
    rng = np.random.default_rng(0)
    model.w[...] = rng.uniform(-1, 1, model.w.size)
    assert relative_error(model, quantize(model, 6)) == pytest.approx(1, rel=0.02)


def test_reestimated_statistics_are_those_of_the_images():
    norm = BatchNorm(3)
    model = Model(Sequential({"bn": norm, "fc": Linear(3, 2)}))
    x = np.random.default_rng(0).normal(2, 3, size=(40, 3)).astype(np.float32)
    reestimate_batch_norm(model, x, batch=10)
    parts = x.reshape(4, 10, 3)
    assert np.allclose(norm.running_mean, x.mean(0), atol=1e-5)
    assert np.allclose(norm.running_var, parts.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert norm.momentum == BatchNorm.momentum
    reestimate_batch_norm(mlp(), np.zeros((0, 64), np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MinMaxGrid(1), r"bits must be a whole number in 2\.\.16; got 1"),
        (lambda: MSEGrid(17), r"2\.\.16"),
        (lambda: quantize(convnet(), bits=4.0), r"got 4\.0"),
        (lambda: MinMaxGrid(4).fit([1.0, np.nan]), "1 of 2 entries are NaN"),
        (lambda: MSEGrid(4).fit([np.inf]), "must be finite"),
        (lambda: reestimate_batch_norm(convnet(), np.zeros((0, 8, 8, 1), np.float32)), "empty"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
