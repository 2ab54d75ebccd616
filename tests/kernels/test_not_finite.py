"""NaN and infinity: padding is absent, not zero, so that they spoil what they meet in the image alone."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.kernels import reference, winograd
from tests.kernels.test_oracles import SEEDS, windows

BAD = [np.nan, np.inf, -np.inf]
FEW = settings(max_examples=25, deadline=None)


def classes(a):
    """What each number is: 0 finite, 1 NaN, 2 and 3 infinite."""
    return np.isnan(a) + 2 * np.isposinf(a) + 3 * np.isneginf(a)


def meetings(x_shape, w_shape, y_shape, stride, padding):
    """Every element of a window with every pixel of the image that it meets, one by one."""
    for n, h, v in np.ndindex(y_shape[:3]):
        for i, j in np.ndindex(w_shape[:2]):
            row, column = h * stride[0] + i - padding[0], v * stride[1] + j - padding[1]
            if 0 <= row < x_shape[1] and 0 <= column < x_shape[2]:
                yield (n, h, v), (i, j), (n, row, column)


def plain_convolution(x, w, stride, padding):
    """The sum in the docstring, term by term."""
    size = [(x.shape[k + 1] + 2 * padding[k] - w.shape[k]) // stride[k] + 1 for k in (0, 1)]
    y = np.zeros((len(x), *size, w.shape[3]))
    for at, tap, pixel in meetings(x.shape, w.shape, y.shape, stride, padding):
        y[at] += (x[pixel][:, None] * w[tap]).sum(0)
    return y


def plain_gradients(dy, x, w, stride, padding):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for at, tap, pixel in meetings(x.shape, w.shape, dy.shape, stride, padding):
        dw[tap] += x[pixel][:, None] * dy[at]
        dx[pixel] += (w[tap] * dy[at]).sum(1)
    return dx, dw


def spoil(rng, *arrays):
    """One number that is not finite, sometimes two, in one of the arrays."""
    for _ in range(rng.integers(1, 3)):
        chosen = arrays[rng.integers(len(arrays))]
        if chosen.size:
            chosen.flat[rng.integers(chosen.size)] = rng.choice(BAD)


def agree(results, expected):
    for result, oracle in zip(results, expected, strict=True):
        np.testing.assert_array_equal(classes(result), classes(oracle))
        there = np.isfinite(oracle)
        np.testing.assert_allclose(result[there], oracle[there], rtol=1e-3, atol=1e-3)


@FEW
@given(windows(), st.sampled_from([1, 3, 8, 17]), st.sampled_from([np.float32, np.float64]), SEEDS)
def test_convolution(window, channels, dtype, seed):
    """At all strides and paddings, a window wholly in the padding included."""
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rng.integers(1, 3), *image, channels)).astype(dtype)
    w = rng.standard_normal((*size, channels, rng.integers(1, 4))).astype(dtype)
    spoil(rng, x, w)
    with np.errstate(invalid="ignore"):
        y = kernels.conv2d(x, w, None, stride, padding)
        agree([y], [plain_convolution(x, w, stride, padding)])
        dy = rng.standard_normal(y.shape).astype(dtype)
        spoil(rng, x, w, dy)
        gradients = kernels.conv2d_backward(dy, x, w, stride, padding)
        agree(gradients, plain_gradients(dy, x, w, stride, padding))


@FEW
@given(windows(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), SEEDS)
def test_convolution_in_groups(window, groups, deep, wide, seed):
    """As a convolution of each group by itself."""
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rng.integers(1, 3), *image, groups * deep)).astype("f")
    w = rng.standard_normal((*size, deep, groups * wide)).astype("f")
    spoil(rng, x, w)
    with np.errstate(invalid="ignore"):
        y = kernels.grouped_conv2d(x, w, None, stride, padding, groups)
        dy = rng.standard_normal(y.shape).astype("f")
        spoil(rng, dy)
        dx, dw = kernels.grouped_conv2d_backward(dy, x, w, stride, padding, groups)
        for g in range(groups):
            xs, ws = x[..., g * deep : (g + 1) * deep], w[..., g * wide : (g + 1) * wide]
            outputs = slice(g * wide, (g + 1) * wide)
            agree([y[..., outputs]], [plain_convolution(xs, ws, stride, padding)])
            expected = plain_gradients(dy[..., outputs], xs, ws, stride, padding)
            agree((dx[..., g * deep : (g + 1) * deep], dw[..., outputs]), expected)


@settings(max_examples=4, deadline=None)
@given(st.tuples(st.integers(0, 2), st.integers(0, 2)), SEEDS)
def test_winograd(padding, seed):
    image = (16, 17)
    assert winograd.pays((*image, 32), (3, 3, 32, 32), (1, 1), padding)
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal(s).astype("f") for s in ((1, *image, 32), (3, 3, 32, 32)))
    with np.errstate(invalid="ignore"):
        spoil(rng, x, w)
        y = kernels.conv2d(x, w, None, (1, 1), padding)
        agree([y], [plain_convolution(x, w, (1, 1), padding)])
        dy = rng.standard_normal(y.shape).astype("f")
        spoil(rng, x, w, dy)
        agree(
            kernels.conv2d_backward(dy, x, w, (1, 1), padding),
            plain_gradients(dy, x, w, (1, 1), padding),
        )


def test_a_weight_that_meets_only_the_border_spoils_nothing():
    x, w = np.ones((1, 1, 1, 1), "f"), np.ones((3, 3, 1, 1), "f")
    w[0, 0] = np.nan
    assert kernels.conv2d(x, w, None, (1, 1), (1, 1)).item() == 1
    dx, dw = kernels.conv2d_backward(np.full_like(x, np.nan), x, w, (1, 1), (1, 1))
    assert np.isnan(dx).all()
    assert np.isnan(dw).sum() == 1


def plain_pooling(x, size, stride, padding):
    """Largest value, its place, and the mean of every window, one by one; NaN is larger than any number."""
    shape = [(x.shape[k + 1] + 2 * padding[k] - size[k]) // stride[k] + 1 for k in (0, 1)]
    shape = (len(x), *shape, x.shape[3])
    largest, place = np.full(shape, -np.inf), np.full(shape, -1)
    total = np.zeros(shape)
    for at, (i, j), pixel in meetings(x.shape, size, shape, stride, padding):
        for c in range(shape[3]):
            value, best = x[(*pixel, c)], largest[(*at, c)]
            if place[(*at, c)] < 0 or value > best or (np.isnan(value) and not np.isnan(best)):
                largest[(*at, c)], place[(*at, c)] = value, i * size[1] + j
            total[(*at, c)] += value
    return largest, place, total / (size[0] * size[1])


@FEW
@example((((1, 4), (3, 3), (2, 2), (2, 2))), 3, 0)
@given(windows(), st.sampled_from([1, 3, 8, 17]), SEEDS)
def test_pooling(window, channels, seed):
    image, size, stride, padding = window
    assume(padding[0] < size[0] and padding[1] < size[1])
    rng = np.random.default_rng(seed)
    x = rng.choice([*BAD, 1, 2, 3], (2, *image, channels)).astype("f")
    for dtype in (np.float32, np.float64):
        with np.errstate(invalid="ignore"):
            largest, place, mean = plain_pooling(x, size, stride, padding)
            y, winner = kernels.max_pool2d(x.astype(dtype), size, stride, padding)
            agree([y, kernels.avg_pool2d(x.astype(dtype), size, stride, padding)], [largest, mean])
            np.testing.assert_array_equal(winner, place)
            dy = rng.choice([*BAD, 1, 2], y.shape).astype(dtype)
            window = (x.shape, size, stride, padding)
            backward = {"max_pool2d_backward": (dy, winner, *window), "avg_pool2d_backward": (dy, *window)}
            for name, args in backward.items():
                agree([getattr(kernels, name)(*args)], [getattr(reference, name)(*args)])


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("place", [0, 100, -1])
def test_other_kernels_let_them_through(value, place):
    """One number that is not finite in an input makes the same results not finite as in the oracle."""
    rng = np.random.default_rng(3)
    x, rows = rng.standard_normal((3, 5, 6, 9)).astype("f"), rng.standard_normal((90, 9)).astype("f")
    matrix, drows = rng.standard_normal((9, 63)).astype("f"), rng.standard_normal((90, 63)).astype("f")
    ones = np.ones(9, "f")
    for bad in (x, rows, drows, matrix):
        spoiled = bad.copy()
        spoiled.flat[place] = value

        def put(a, bad=bad, spoiled=spoiled):
            return spoiled if a is bad else a

        calls = {
            "linear": (put(rows), put(matrix), None),
            "linear_backward": (put(drows), put(rows), put(matrix)),
            "batch_norm_train": (put(x), ones, ones, ones.copy(), ones.copy(), 0.1, 1e-5, None, True),
            "batch_norm_eval": (put(x), ones, ones, ones, ones, 1e-5, None, True),
            "batch_norm_backward": (x, x, put(x), ones, ones, ones, 1e-5, True),
            "channel_sum": (put(x),),
            "relu": (put(x),),
            "relu_backward": (x, put(x)),
            "global_avg_pool": (put(x),),
        }
        for name, args in calls.items():
            with np.errstate(invalid="ignore"):
                result, oracle = getattr(kernels, name)(*args), getattr(reference, name)(*args)
            result, oracle = (r if isinstance(r, tuple) else (r,) for r in (result, oracle))
            for one, other in zip(result, oracle, strict=True):
                if one is not None:
                    np.testing.assert_array_equal(np.isfinite(one), np.isfinite(other), name)
