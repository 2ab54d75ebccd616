"""Integers that multiply out: codes, scale, zero point, tables, shifts."""

import numpy as np
import pytest
from hypothesis import given, settings

from psgd_ref.compress import AdaptivFloatGrid, MinMaxGrid, MSEGrid, correct_channels, quantize_tensor
from psgd_ref.compress.post_training.tensor import QuantizedTensor
from tests.compress.tensors import grids, weights

settings.register_profile("tensor", deadline=None, derandomize=True, max_examples=60)
PROFILE = settings.get_profile("tensor")


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
@given(weights, grids)
def test_quantization_is_odd(w, grid):
    assert np.array_equal(quantize_tensor(w, grid).values, -quantize_tensor(-w, grid).values)


@pytest.mark.parametrize("rule", [MinMaxGrid, MSEGrid])
@pytest.mark.parametrize("w", [np.zeros(5), np.full(3, 1e-40, np.float32), np.array([[3.0]])])
def test_degenerate_tensors_stay_finite(rule, w):
    tensor = quantize_tensor(w, rule(4))
    assert np.isfinite(tensor.values).all()
    assert np.isfinite(8 / tensor.scale)


def test_a_zero_point_is_the_code_of_zero():
    tensor = QuantizedTensor(4, np.array([0, 3, 7], np.int8), np.array(0.5), zero_point=3)
    assert np.array_equal(tensor.values, [-1.5, 0, 2])


@pytest.mark.parametrize("rule", [MinMaxGrid, MSEGrid, AdaptivFloatGrid])
@pytest.mark.parametrize("std", [False, True])
def test_corrected_integers_multiply_out_by_hand(rule, std):
    w = np.random.default_rng(0).normal(0.2, 1, (3, 3, 2, 5))
    tensor = correct_channels(quantize_tensor(w, rule(3, per_channel=True)), w, std)
    for c in range(5):
        codes = tensor.codes[..., c].astype(int)
        bare = codes if tensor.levels is None else tensor.levels[c][codes - tensor.lowest]
        scale = tensor.scale[c] if tensor.scale.ndim else tensor.scale
        assert np.allclose(tensor.values[..., c], bare * scale + tensor.shift[c], rtol=1e-12)
