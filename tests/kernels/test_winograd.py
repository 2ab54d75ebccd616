"""Winograd's convolution gives what the oracle of the plain sum gives, and is used where it pays."""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.kernels import BACKEND, reference
from tests.kernels.test_oracles import FEW, SEEDS, agree, draw, draw_gradient, draw_norm

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")
if BACKEND == "tile":
    from psgd_ref.kernels import winograd
    from psgd_ref.kernels import winograd_backward as backward
    from psgd_ref.kernels.compile import LANES
    from psgd_ref.kernels.norm_backward import passed

PAIRS = st.tuples(st.integers(0, 2), st.integers(0, 2))
SIDES = st.integers(4, 11)
STRIDE = (1, 1)


@contextmanager
def always(used=True):
    """Use it however few the products are; or never."""
    winograd.pays.cache_clear()
    with mock.patch.multiple(winograd, CHANNELS=0 if used else 1 << 30, _PRODUCTS=0):
        yield
    winograd.pays.cache_clear()


def watched(module, name):
    """A function that counts its calls while the context lasts."""
    return mock.patch.object(module, name, wraps=getattr(module, name))


@settings(FEW, max_examples=12)
@given(SIDES, SIDES, PAIRS, st.sampled_from([2, 3]), st.sampled_from([1, 2, 17]), st.booleans(), SEEDS)
def test_any_size_and_padding(height, width, padding, vectors, images, with_bias, seed):
    inputs, outputs = vectors * LANES, (5 - vectors) * LANES
    rng = np.random.default_rng(seed)
    x, w = draw(rng, images, height, width, inputs), draw(rng, 3, 3, inputs, outputs)
    with always(), watched(winograd, "conv2d") as forward, watched(backward, "conv2d_backward") as both:
        # The tolerances are those of the plain sum.
        (y,) = agree("conv2d", x, w, draw(rng, outputs) if with_bias else None, STRIDE, padding)
        dy = draw(rng, *y.shape)
        agree("conv2d_backward", dy, x, w, STRIDE, padding)
        forward.assert_called_once()
        both.assert_called_once()
    norm, plus = draw_norm(rng, x), draw(rng, *x.shape)
    with always():
        normalised = kernels.batch_norm_eval(x, *norm, None, True)
        assert np.array_equal(
            kernels.conv2d(x, w, None, STRIDE, padding, norm),
            kernels.conv2d(normalised, w, None, STRIDE, padding),
        )
        for relu, residual in ((True, dy), (False, None)):
            after = kernels.After(draw_norm(rng, y), residual, relu)
            assert np.array_equal(
                kernels.conv2d(x, w, None, STRIDE, padding, norm, after),
                kernels.batch_norm_eval(
                    kernels.conv2d(x, w, None, STRIDE, padding, norm), *after.norm, residual, relu
                ),
            )
        dx, dw = kernels.conv2d_backward(dy, x, w, STRIDE, padding, True, None, norm, plus)
        alone, same = kernels.conv2d_backward(dy, normalised, w, STRIDE, padding)
        assert np.array_equal(dx, alone + plus)
        assert np.array_equal(dw, same)
        for gated in (True, False):
            through = draw_gradient(rng, dy, gated)
            arguments = (dy, x, w, STRIDE, padding, True, None, None, None)
            results = kernels.conv2d_backward(*arguments, through)
            alone = kernels.conv2d_backward(passed(dy, through), *arguments[1:])
            assert all(map(np.array_equal, results, alone))
            nothing, dw = kernels.conv2d_backward(*arguments[:5], False, None, None, None, through)
            assert nothing is None
            assert np.array_equal(dw, alone[1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32(3e38)])
@pytest.mark.parametrize("place", [0, 777, -1])
def test_where_a_result_is_not_finite_it_is_the_oracles(value, place):
    rng = np.random.default_rng(3)
    channels = 2 * LANES
    x, dy = rng.standard_normal((2, 2, 5, 7, channels)).astype(np.float32)
    w = rng.standard_normal((3, 3, channels, channels)).astype(np.float32)
    for bad in (x, dy, w):
        here = place % bad.size
        sound, bad.flat[here] = bad.flat[here], value
        with always(), np.errstate(all="ignore"):
            results = [_three(module, dy, x, w) for module in (kernels, reference)]
        for squares, oracle in zip(*results, strict=True):
            np.testing.assert_array_equal(np.isfinite(squares), np.isfinite(oracle))
            if np.isfinite(oracle).all():
                np.testing.assert_allclose(squares, oracle, rtol=1e-4, atol=1e-6 * np.abs(oracle).max())
        bad.flat[here] = sound


@pytest.mark.parametrize("channels", [16, 64])
def test_rounding_errors_are_at_most_three_times_those_of_the_plain_sum(channels):
    """Root mean square, on what layers see: the outputs of a ReLU, and weights of He's variance."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((4, 16, 16, channels)), 0).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    w = (rng.standard_normal((3, 3, channels, channels)) * np.sqrt(2 / 9 / channels)).astype(np.float32)
    exact = _three(reference, dy.astype(float), x.astype(float), w.astype(float))
    with always():
        squares = _three(kernels, dy, x, w)
    with always(False):
        plain = _three(kernels, dy, x, w)
    for right, one, other in zip(exact, squares, plain, strict=True):
        assert np.square(one - right).mean() < 3**2 * np.square(other - right).mean()


def _three(module, dy, x, w):
    dx, dw = module.conv2d_backward(dy, x, w, STRIDE, (1, 1))
    return module.conv2d(x, w, None, STRIDE, (1, 1)), dx, dw


@pytest.mark.parametrize(
    ("image", "w_shape", "stride", "padding", "expected"),
    [
        ((8, 8), (3, 3, 64, 64), (1, 1), (1, 1), True),
        ((16, 16), (3, 3, 32, 32), (1, 1), (1, 1), True),
        ((32, 32), (3, 3, 16, 16), (1, 1), (1, 1), True),
        ((14, 14), (3, 3, 16, 32), (1, 1), (1, 1), True),
        ((8, 8), (3, 3, 16, 16), (1, 1), (1, 1), False),
        ((28, 28), (3, 3, 8, 16), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 64), (2, 1), (1, 1), False),
        ((32, 32), (3, 5, 64, 64), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 65), (1, 1), (1, 1), False),
        ((32, 32), (3, 3, 64, 64), (1, 1), (3, 1), False),
        ((2, 512), (3, 3, 64, 64), (1, 1), (1, 1), False),
    ],
)
def test_it_serves_large_layers_of_3_by_3_at_stride_1(image, w_shape, stride, padding, expected):
    assert winograd.pays((*image, w_shape[2]), w_shape, stride, padding) is expected


def test_a_layer_for_which_it_pays_agrees_with_the_oracle():
    rng = np.random.default_rng(0)
    x, w, dy = draw(rng, 2, 16, 16, 32), draw(rng, 3, 3, 32, 32), draw(rng, 2, 16, 16, 32)
    agree("conv2d", x, w, None, STRIDE, (1, 1))
    agree("conv2d_backward", dy, x, w, STRIDE, (1, 1))
