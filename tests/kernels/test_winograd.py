"""Winograd's convolution gives what the oracle of the plain sum gives, and is used where it pays."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.kernels import BACKEND, reference
from tests.kernels.test_oracles import FEW, SEEDS, agree, draw

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")
if BACKEND == "tile":
    from psgd_ref.kernels import winograd
    from psgd_ref.kernels.compile import LANES

PAIRS = st.tuples(st.integers(0, 2), st.integers(0, 2))
SIDES = st.integers(4, 11)
STRIDE = (1, 1)


def always():
    """Use it however few the products are."""
    return mock.patch.multiple(winograd, SUMS=0, GRADIENT=0, _PRODUCTS=0)


@settings(FEW, max_examples=12)
@given(SIDES, SIDES, PAIRS, st.sampled_from([2, 3]), st.sampled_from([1, 2, 17]), st.booleans(), SEEDS)
def test_any_size_and_padding(height, width, padding, vectors, images, with_bias, seed):
    inputs, outputs = vectors * LANES, (5 - vectors) * LANES
    rng = np.random.default_rng(seed)
    x, w = draw(rng, images, height, width, inputs), draw(rng, 3, 3, inputs, outputs)
    with always(), mock.patch.object(winograd, "memory", wraps=winograd.memory) as used:
        # The tolerances are those of the plain sum.
        (y,) = agree("conv2d", x, w, draw(rng, outputs) if with_bias else None, STRIDE, padding)
        dy = draw(rng, *y.shape)
        agree("conv2d_backward", dy, x, w, STRIDE, padding)
        # The output, the input's gradient and the scratch of all three came from here.
        assert used.empty.call_count >= 11


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 777, -1])
def test_values_that_are_not_finite_reach_the_same_outputs(value, place):
    rng = np.random.default_rng(3)
    channels = 2 * LANES
    x, dy = rng.standard_normal((2, 2, 5, 7, channels)).astype(np.float32)
    w = rng.standard_normal((3, 3, channels, channels)).astype(np.float32)
    for bad in (x, dy, w):
        sound = bad.flat[place]
        bad.flat[place] = value
        with np.errstate(invalid="ignore"), always():
            y, oracle = (k.conv2d(x, w, None, STRIDE, (1, 1)) for k in (kernels, reference))
            np.testing.assert_array_equal(np.isfinite(y), np.isfinite(oracle))
            (dx, dw), (dx_oracle, dw_oracle) = (
                k.conv2d_backward(dy, x, w, STRIDE, (1, 1)) for k in (kernels, reference)
            )
        if bad is not w:  # a weight also meets the zeros of the border
            np.testing.assert_array_equal(np.isfinite(dx), np.isfinite(dx_oracle))
        assert not (np.isfinite(dx) & ~np.isfinite(dx_oracle)).any()
        assert not (np.isfinite(dw) & ~np.isfinite(dw_oracle)).any()
        bad.flat[place] = sound


@pytest.mark.parametrize(
    ("image", "w_shape", "stride", "padding", "expected"),
    [
        ((8, 8), (3, 3, 64, 64), (1, 1), (1, 1), True),
        ((16, 16), (3, 3, 32, 32), (1, 1), (1, 1), True),
        ((32, 32), (3, 3, 16, 16), (1, 1), (1, 1), False),
        ((8, 8), (3, 3, 32, 32), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 64), (2, 1), (1, 1), False),
        ((32, 32), (3, 5, 64, 64), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 65), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 64), (1, 1), (3, 1), False),
        ((2, 512), (3, 3, 64, 64), (1, 1), (1, 1), False),
    ],
)
def test_it_serves_large_layers_of_3_by_3_at_stride_1(image, w_shape, stride, padding, expected):
    assert winograd.pays((*image, w_shape[2]), w_shape, stride, padding, winograd.SUMS) is expected


def test_a_layer_for_which_it_pays_agrees_with_the_oracle():
    rng = np.random.default_rng(0)
    x, w, dy = draw(rng, 2, 16, 16, 32), draw(rng, 3, 3, 32, 32), draw(rng, 2, 16, 16, 32)
    agree("conv2d", x, w, None, STRIDE, (1, 1))
    agree("conv2d_backward", dy, x, w, STRIDE, (1, 1))
