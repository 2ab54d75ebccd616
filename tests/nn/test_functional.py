"""Every function's backward against differences, its value against a plain formula, and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.nn import functional as F  # noqa: N812
from tests.nn.vjp import assert_vjp

settings.register_profile("nn", deadline=None, derandomize=True, max_examples=40)
PROFILE = settings.get_profile("nn")

sizes = st.integers(1, 4)
images = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), sizes)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def distinct(shape, seed=0):
    """Values that differ by at least 1e-3, so that a difference step changes no maximum."""
    count = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(count) - count / 2).reshape(shape) * 1e-2 + 5e-3


@settings(PROFILE)
@given(images, st.tuples(st.integers(1, 5), st.integers(1, 5)), pairs, pairs, sizes)
def test_conv2d(shape, window, stride, padding, outputs):
    rng = np.random.default_rng(1)
    padding = (padding[0] - 1, padding[1] - 1)
    window = (min(window[0], shape[1] + 2 * padding[0]), min(window[1], shape[2] + 2 * padding[1]))
    x, w, b = rng.normal(size=shape), rng.normal(size=(*window, shape[3], outputs)), rng.normal(size=outputs)
    assert_vjp(
        lambda x, w, b: F.conv2d(x, w, b, stride, padding),
        lambda dy: F.conv2d_backward(dy, x, w, stride, padding),
        (x, w, b),
    )


def test_conv2d_is_the_sum_in_its_docstring():
    rng = np.random.default_rng(2)
    x, w, b = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 2, 3, 4)), rng.normal(size=4)
    y = F.conv2d(x, w, b, stride=(2, 1), padding=(1, 0))
    for n, h, v, o in np.ndindex(y.shape):
        total = b[o]
        for i, j, c in np.ndindex(3, 2, 3):
            row, column = h * 2 + i - 1, v + j
            if 0 <= row < 5:
                total += x[n, row, column, c] * w[i, j, c, o]
        assert np.isclose(y[n, h, v, o], total)


@settings(PROFILE)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_linear(count, inputs, outputs):
    rng = np.random.default_rng(3)
    x, w, b = rng.normal(size=(count, inputs)), rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)
    assert_vjp(F.linear, lambda dy: F.linear_backward(dy, x, w), (x, w, b))


@settings(PROFILE)
@given(st.one_of(images, st.tuples(st.integers(2, 6), sizes)))
def test_batch_norm_of_the_batch_itself(shape):
    rng = np.random.default_rng(4)
    x, gamma, beta = rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
    axes = tuple(range(len(shape) - 1))

    def forward(x, gamma, beta):
        return F.batch_norm(x, gamma, beta, x.mean(axes), x.var(axes), 1e-2)

    assert_vjp(forward, lambda dy: F.batch_norm_backward(dy, x, gamma, 1e-2), (x, gamma, beta))


@settings(PROFILE)
@given(images, pairs, pairs, st.booleans())
def test_pooling(shape, size, stride, padded):
    size = (min(size[0], shape[1]), min(size[1], shape[2]))
    padding = (size[0] // 2, size[1] // 2) if padded else 0
    x = distinct(shape)
    for forward, backward in (
        (F.max_pool2d, F.max_pool2d_backward),
        (F.avg_pool2d, F.avg_pool2d_backward),
    ):
        assert_vjp(
            lambda x, f=forward: f(x, size, stride, padding),
            lambda dy, b=backward: (b(dy, x, size, stride, padding),),
            (x,),
        )


def test_pooling_values():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    assert F.max_pool2d(x, 2).ravel().tolist() == [5, 7, 13, 15]
    assert F.avg_pool2d(x, 2).ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert F.max_pool2d(-x, 3, 2, 1).ravel().tolist() == [0, -1, -4, -5]
    assert F.global_avg_pool(x).ravel().tolist() == [7.5]


@settings(PROFILE)
@given(st.integers(1, 5), st.integers(2, 6), st.floats(0, 0.9))
def test_cross_entropy(count, classes, label_smoothing):
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(count, classes)), rng.integers(0, classes, count)
    _, dlogits = F.cross_entropy(logits, labels, label_smoothing)
    assert_vjp(
        lambda z: np.array(F.cross_entropy(z, labels, label_smoothing)[0]),
        lambda dy: (dy * dlogits,),
        (logits,),
    )


def test_cross_entropy_does_not_overflow():
    loss, gradient = F.cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1]))
    assert loss == pytest.approx(2e4)
    assert gradient.tolist() == [[1.0, -1.0]]


X = np.zeros((2, 5, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(X[0], np.zeros((3, 3, 3, 4))), "axes NHWC"),
        (lambda: F.conv2d(X, np.zeros((3, 3, 2, 4))), "2 channels"),
        (lambda: F.conv2d(X, np.zeros((7, 7, 3, 4))), "does not fit"),
        (lambda: F.conv2d(X, np.zeros((3, 3, 3, 4)), stride=0), "stride must be a whole number >= 1"),
        (lambda: F.conv2d(X, np.zeros((3, 3, 3, 4)), padding=(1, 2, 3)), "pair"),
        (lambda: F.conv2d(X, np.zeros((3, 3, 3, 4)), np.zeros(3)), r"bias must have the shape \(4,\)"),
        (lambda: F.conv2d(X.astype(int), np.zeros((3, 3, 3, 4))), "floating-point"),
        (lambda: F.conv2d_backward(X, X, np.zeros((3, 3, 3, 4))), r"\(2, 3, 3, 4\)"),
        (lambda: F.linear(np.zeros((2, 3)), np.zeros((4, 5))), "4 channels"),
        (lambda: F.max_pool2d(X, 2, padding=2), "less than the window"),
        (lambda: F.avg_pool2d(X, 6), "does not fit"),
        (lambda: F.cross_entropy(np.zeros((2, 3)), np.array([0, 3])), r"0\.\.2; got 0\.\.3"),
        (lambda: F.cross_entropy(np.zeros((2, 3)), np.array([0.0, 1.0])), "whole numbers"),
        (lambda: F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)), "at least one row"),
        (lambda: F.cross_entropy(np.zeros((1, 3)), np.array([0]), 1.0), "label_smoothing"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
