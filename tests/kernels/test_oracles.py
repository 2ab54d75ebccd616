"""Every compiled kernel gives what its oracle gives in float64; for NaN and ∞ see `test_not_finite.py`."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.kernels import BACKEND, reference

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="the kernels are their own oracles")
if BACKEND == "tile":
    from psgd_ref.kernels.norm_backward import passed
FEW = settings(max_examples=25, deadline=None)
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 33, 64])
INPUTS = st.one_of(CHANNELS, st.sampled_from([257, 600]))
SEEDS = st.integers(0, 2**32 - 1)
FLOAT32_NAMES = [
    name for name in kernels.__all__ if name not in ("After", "Norm", "NormGradient", "Part", "Parts")
]


def draw(rng, *shape):
    """Float32 values of a random size and offset: errors that zero mean and unit size would hide show."""
    scale, shift = 10 ** rng.uniform(-3, 3), rng.choice([0, 0, 1, -3])
    return (scale * (rng.standard_normal(shape) + shift)).astype(np.float32)


def double(value):
    if isinstance(value, kernels.After | kernels.Norm | kernels.NormGradient):
        return type(value)(*map(double, value))
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def agree(name, *args, rtol=2e-5, terms=0.0):
    """The kernel and its float64 oracle agree to rtol of the largest value of each result.

    terms : size of the terms that may cancel in the first result
    """
    expected = getattr(reference, name)(*[double(a) for a in args])
    results = getattr(kernels, name)(*args)
    if not isinstance(results, tuple):
        results, expected = (results,), (expected,)
    assert len(results) == len(expected)
    for i, (result, oracle) in enumerate(zip(results, expected, strict=True)):
        if oracle is None:
            assert result is None
            continue
        assert result.shape == oracle.shape
        if oracle.dtype.kind == "f":
            assert result.dtype == np.float32
            largest = np.abs(oracle[np.isfinite(oracle)]).max(initial=0 if i > 0 else terms)
            np.testing.assert_allclose(result, oracle, rtol=rtol, atol=rtol * largest)
        else:
            np.testing.assert_array_equal(result, oracle)
    return results


@st.composite
def windows(draw_value):
    """Image size, window, stride and padding with at least one whole window."""
    size = draw_value(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw_value(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw_value(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    image = draw_value(st.tuples(st.integers(1, 11), st.integers(1, 11)))
    assume(all(image[i] + 2 * padding[i] >= size[i] for i in (0, 1)))
    return image, size, stride, padding


@FEW
@given(windows(), st.sampled_from([1, 2, 3, 8]), st.integers(1, 3), st.integers(1, 3), st.booleans(), SEEDS)
def test_convolution_in_groups(window, groups, deep, wide, with_bias, seed):
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w = draw(rng, 3, *image, groups * deep), draw(rng, *size, deep, groups * wide)
    bias = draw(rng, groups * wide) if with_bias else None
    (y,) = agree("grouped_conv2d", x, w, bias, stride, padding, groups)
    dy = draw(rng, *y.shape)
    agree("grouped_conv2d_backward", dy, x, w, stride, padding, groups)
    assert agree("grouped_conv2d_backward", dy, x, w, stride, padding, groups, False)[0] is None
    if groups == 1:
        other = kernels.conv2d(x, w, bias, stride, padding)
        np.testing.assert_allclose(y, other, rtol=1e-3, atol=1e-3 * np.abs(y).max())


@FEW
@given(windows(), CHANNELS, CHANNELS, st.sampled_from([1, 2, 5, 17]), st.booleans(), SEEDS)
def test_convolution(window, inputs, outputs, images, with_bias, seed):
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w = draw(rng, images, *image, inputs), draw(rng, *size, inputs, outputs)
    (y,) = agree("conv2d", x, w, draw(rng, outputs) if with_bias else None, stride, padding)
    dy = draw(rng, *y.shape)
    agree("conv2d_backward", dy, x, w, stride, padding)
    dx, dw = agree("conv2d_backward", dy, x, w, stride, padding, False)
    assert dx is None
    # ⟨dw, w⟩ = ⟨dy, conv(x, w)⟩: the gradient belongs to this forward pass.
    linear = kernels.conv2d(x, w, None, stride, padding).astype(float)
    scale = np.abs(dy.astype(float) * linear).sum() + 1e-30
    assert abs((dw.astype(float) * w).sum() - (dy * linear).sum()) < 1e-4 * scale


@FEW
@given(windows(), st.sampled_from([1, 3, 4, 8, 11]), st.sampled_from([1, 2, 3, 5, 8]), SEEDS)
def test_few_outputs_have_the_bits_that_they_have_among_many(window, inputs, outputs, seed):
    # Of few outputs several pixels are summed as one, with weights of zero between; in the gradient of the
    # weights two products are.
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w, bias = draw(rng, 2, *image, inputs), draw(rng, *size, inputs, 16), draw(rng, 16)
    y, many = (kernels.conv2d(x, w[..., :n], bias[:n], stride, padding) for n in (outputs, 16))
    np.testing.assert_array_equal(y, many[..., :outputs])
    dy = draw(rng, *many.shape)
    dw, many = (
        kernels.conv2d_backward(dy[..., :n], x, w[..., :n], stride, padding, False)[1] for n in (outputs, 16)
    )
    np.testing.assert_array_equal(dw, many[..., :outputs])
    dy, w = draw(rng, *y.shape[:3], inputs), draw(rng, *size, 16, inputs)
    x = draw(rng, 2, *image, 16)
    dx, many = (
        kernels.conv2d_backward(dy, x[..., :n], w[..., :n, :], stride, padding)[0] for n in (outputs, 16)
    )
    np.testing.assert_array_equal(dx, many[..., :outputs])


def test_convolution_of_arrays_that_are_not_contiguous():
    rng = np.random.default_rng(0)
    x, w = draw(rng, 2, 4, 6, 5).transpose(0, 2, 1, 3), draw(rng, 3, 3, 7, 5).swapaxes(2, 3)
    agree("conv2d", x, w, None, (1, 1), (1, 1))
    agree("conv2d_backward", draw(rng, 2, 4, 6, 7).transpose(0, 2, 1, 3), x, w, (1, 1), (1, 1))


def draw_norm(rng, x):
    """A batch norm that fits x, its ReLU at work."""
    gamma, beta = draw(rng, 2, x.shape[-1])
    axes = tuple(range(x.ndim - 1))
    return kernels.Norm(gamma, beta, x.mean(axes), x.var(axes), float(1e-3 * x.var() + 1e-9))


@FEW
@given(windows(), CHANNELS, CHANNELS, SEEDS)
def test_convolution_through_a_batch_norm(window, inputs, outputs, seed):
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w = draw(rng, 3, *image, inputs), draw(rng, *size, inputs, outputs)
    norm = draw_norm(rng, x)
    (y,) = agree("conv2d", x, w, None, stride, padding, norm, rtol=1e-4)
    dy, plus = draw(rng, *y.shape), draw(rng, *x.shape)
    dx, dw = agree("conv2d_backward", dy, x, w, stride, padding, True, None, norm, plus, rtol=1e-4)
    # To the bit what the convolution of the normalised images gives, and a sum after it.
    normalised = kernels.batch_norm_eval(x, *norm, None, True)
    assert np.array_equal(y, kernels.conv2d(normalised, w, None, stride, padding))
    alone, same = kernels.conv2d_backward(dy, normalised, w, stride, padding)
    assert np.array_equal(dx, alone + plus)
    assert np.array_equal(dw, same)


@FEW
@given(windows(), CHANNELS, CHANNELS, st.booleans(), st.booleans(), SEEDS)
def test_convolution_and_the_batch_norm_after_it(window, inputs, outputs, with_residual, relu, seed):
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w = draw(rng, 3, *image, inputs), draw(rng, *size, inputs, outputs)
    y = kernels.conv2d(x, w, None, stride, padding)
    residual = draw(rng, *y.shape) if with_residual else None
    after = kernels.After(draw_norm(rng, y), residual, relu)
    (passed,) = agree("conv2d", x, w, None, stride, padding, None, after, rtol=1e-4)
    assert np.array_equal(passed, kernels.batch_norm_eval(y, *after.norm, residual, relu))


def draw_gradient(rng, y, gated):
    """What takes a gradient of y through a batch norm that gave y."""
    return kernels.NormGradient(draw(rng, *y.shape), draw(rng, 5, y.shape[-1]), gated)


@FEW
@given(windows(), CHANNELS, CHANNELS, st.booleans(), SEEDS)
def test_gradient_of_a_convolution_through_that_of_a_batch_norm(window, inputs, outputs, gated, seed):
    image, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x, w = draw(rng, 3, *image, inputs), draw(rng, *size, inputs, outputs)
    y = kernels.conv2d(x, w, None, stride, padding)
    through, dy = draw_gradient(rng, y, gated), draw(rng, *y.shape)
    dx, dw = agree("conv2d_backward", dy, x, w, stride, padding, True, None, None, None, through, rtol=1e-4)
    own = passed(dy, through)
    exact = double(through)(double(dy))
    np.testing.assert_allclose(own, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())
    alone, same = kernels.conv2d_backward(own, x, w, stride, padding)
    assert np.array_equal(dx, alone)
    assert np.array_equal(dw, same)


@pytest.mark.parametrize("channels", [3, 16])
def test_what_is_read_through_in_float64_is_left_to_the_oracle(channels):
    rng = np.random.default_rng(0)
    x, w = draw(rng, 3, 16, 16, channels), draw(rng, 3, 3, channels, channels)
    norm, through, pad = draw_norm(rng, x), draw_gradient(rng, x, True), ((1, 1), (1, 1))
    oracle = reference.conv2d(x, w, None, *pad, double(norm))
    np.testing.assert_array_equal(kernels.conv2d(x, w, None, *pad, double(norm)), oracle)
    for wide in (double(through), through._replace(terms=double(through.terms))):
        results = kernels.conv2d_backward(x, x, w, *pad, through=wide)
        for result, oracle in zip(
            results, reference.conv2d_backward(x, x, w, *pad, through=wide), strict=True
        ):
            np.testing.assert_array_equal(result, oracle)


@FEW
@given(st.sampled_from([1, 2, 5, 31, 100, 193, 300]), INPUTS, CHANNELS, st.booleans(), SEEDS)
def test_linear(rows, inputs, outputs, with_bias, seed):
    rng = np.random.default_rng(seed)
    x, w = draw(rng, rows, inputs), draw(rng, inputs, outputs)
    agree("linear", x, w, draw(rng, outputs) if with_bias else None)
    agree("linear_backward", draw(rng, rows, outputs), x, w)
    agree("linear_backward", draw(rng, rows, outputs), x, w, False)
    into = np.full((inputs, outputs), np.nan, np.float32)
    _, dw = agree("linear_backward", draw(rng, rows, outputs), x, w, True, into)
    assert dw is into


@FEW
@given(
    st.one_of(st.tuples(st.integers(2, 300)), st.tuples(*[st.integers(1, 9)] * 3)),
    st.sampled_from([1, 3, 16, 17, 64, 1030]),
    st.booleans(),
    st.booleans(),
    SEEDS,
)
def test_batch_norm(rows, channels, with_residual, relu, seed):
    assume(np.prod(rows) > 1)
    rng = np.random.default_rng(seed)
    shape = (*rows, channels)
    x, (gamma, beta) = draw(rng, *shape), draw(rng, 2, channels)
    residual = draw(rng, *shape) if with_residual else None
    eps = float(1e-3 * x.var() + 1e-9)
    running = draw(rng, 2, channels)
    moved = running.copy()
    y, mean, var = agree("batch_norm_train", x, gamma, beta, *moved, 0.1, eps, residual, relu, rtol=1e-4)
    n = np.prod(rows)
    # To the bit: no multiply and add may have become one.
    assert np.array_equal(moved[0], running[0] + 0.1 * (mean - running[0]))
    assert np.array_equal(moved[1], running[1] + 0.1 * (var * float(n / (n - 1)) - running[1]))
    agree("batch_norm_eval", x, gamma, beta, mean, var, eps, residual, relu, rtol=1e-4)
    dy = draw(rng, *shape)
    terms = (np.abs(dy).max(axis=tuple(range(len(rows)))) * np.abs(gamma) / np.sqrt(var + eps)).max()
    backward = (dy, x, y if relu else None, gamma, mean, var, eps, relu)
    dx, *_ = agree("batch_norm_backward", *backward, rtol=3e-4, terms=terms)
    alone, *_, dz = agree("batch_norm_backward", *backward, False, rtol=3e-4, terms=terms)
    assert dz is None
    assert np.array_equal(alone, dx)  # though it lies where dz was
    if relu and residual is None:
        # The sign of y is found again from x, to the bit.
        for one, other in zip(
            kernels.batch_norm_backward(dy, x, None, *backward[3:], True, None, beta),
            kernels.batch_norm_backward(*backward),
            strict=True,
        ):
            assert np.array_equal(one, other)
        _left_to_the_reader((dy, x, None, *backward[3:]), beta)
    _left_to_the_reader(backward, None)
    again = running.copy()
    assert np.array_equal(agree("batch_norm_statistics", x, *again, 0.1, rtol=1e-4), (mean, var))
    assert np.array_equal(again, moved)
    agree("channel_sum", x)


def _left_to_the_reader(backward, beta):
    """`batch_norm_gradient` has what `batch_norm_backward` gives, to the bit, before dx is computed."""
    for need_dz in (True, False):
        dx, dgamma, dbeta, dz = kernels.batch_norm_backward(*backward, need_dz, None, beta)
        given, through, *others = kernels.batch_norm_gradient(*backward, need_dz, None, beta)
        assert np.array_equal(passed(given, through), dx)
        assert np.array_equal(others, (dgamma, dbeta))
        assert dz is None or np.array_equal(given, dz)
    wide = [double(a) for a in backward]
    given, through, *_ = reference.batch_norm_gradient(*wide, True, None, double(beta))
    dx = reference.batch_norm_backward(*wide, True, None, double(beta))[0]
    np.testing.assert_allclose(through(given), dx, rtol=1e-9, atol=1e-9 * np.abs(dx).max())


def test_variance_of_values_far_from_zero():
    x = (1e4 + np.random.default_rng(0).standard_normal((64, 6, 6, 3))).astype(np.float32)
    ones, zeros = np.ones((2, 3), "f"), np.zeros((2, 3), "f")
    _, mean, var = kernels.batch_norm_train(x, ones[0], zeros[0], zeros[1], ones[1], 0.1, 0.0, None, False)
    np.testing.assert_allclose(var, x.astype(float).var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 1, 2)), rtol=1e-7)


@FEW
@given(windows(), CHANNELS, st.integers(1, 4), SEEDS)
def test_pooling(window, channels, images, seed):
    image, size, stride, padding = window
    assume(padding[0] < size[0] and padding[1] < size[1])
    rng = np.random.default_rng(seed)
    x = draw(rng, images, *image, channels).round(1)  # equal values occur
    y, winner = agree("max_pool2d", x, size, stride, padding)
    dy = draw(rng, *y.shape)
    agree("max_pool2d_backward", dy, winner, x.shape, size, stride, padding)
    agree("avg_pool2d", x, size, stride, padding)
    agree("avg_pool2d_backward", dy, x.shape, size, stride, padding)
    agree("global_avg_pool", x)
    agree("global_avg_pool_backward", draw(rng, images, channels), x.shape)


@FEW
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), SEEDS)
def test_relu(shape, seed):
    rng = np.random.default_rng(seed)
    x = draw(rng, *shape)
    (y,) = agree("relu", x)
    agree("relu_backward", draw(rng, *shape), y)


@pytest.mark.parametrize("channels", [3, 32])
def test_no_images(channels):
    x, w = np.zeros((0, 16, 16, channels), np.float32), np.ones((3, 3, channels, 32), np.float32)
    y = kernels.conv2d(x, w, None, (1, 1), (1, 1))
    assert y.shape == (0, 16, 16, 32)
    dx, dw = kernels.conv2d_backward(y, x, w, (1, 1), (1, 1))
    assert dx.shape == x.shape
    assert dw.shape == w.shape
    assert not dw.any()


@FEW
@given(
    rows=st.integers(1, 70),
    classes=st.sampled_from([1, 2, 7, 8, 10, 17, 128, 129, 300]),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    seed=SEEDS,
)
def test_cross_entropy(rows, classes, label_smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels = draw(rng, rows, classes), rng.integers(0, classes, rows)
    loss, gradient = kernels.cross_entropy(logits, labels, label_smoothing)
    expected, oracle = reference.cross_entropy(double(logits), labels, label_smoothing)
    assert gradient.dtype == np.float32
    # A logit's last place, when it is large, is a share of every probability.
    places = 1e-6 + 2e-7 * float(np.abs(logits).max())
    assert loss == pytest.approx(expected, rel=1e-5, abs=2 * places)
    np.testing.assert_allclose(gradient, oracle, rtol=1e-5, atol=2 * places / rows)


def test_exponential_and_logarithm_are_right_to_some_units_in_the_last_place():
    x = np.linspace(-110, 0, 200_001, dtype=np.float32)
    logits = np.stack([np.zeros_like(x), x], axis=1)  # the loss of the second class is log(1 + e^x) − x
    _, gradient = kernels.cross_entropy(logits, np.ones(len(x), int), 0.0)
    exact = np.exp(x.astype(float))
    np.testing.assert_allclose(gradient[:, 0] * len(x), 1 / (1 + exact), rtol=1e-6)
    _, gradient = kernels.cross_entropy(logits, np.zeros(len(x), int), 0.0)
    probability = exact / (1 + exact)
    np.testing.assert_allclose(gradient[:, 1] * len(x), probability, rtol=2e-5, atol=1e-44 * len(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_cross_entropy_of_logits_that_are_not_finite(value):
    logits, labels = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32), np.arange(5) % 4
    logits[2, 3] = value
    with np.errstate(invalid="ignore"):
        loss, gradient = kernels.cross_entropy(logits, labels, 0.0)
        expected, oracle = reference.cross_entropy(logits, labels, 0.0)
    np.testing.assert_array_equal(np.isfinite(gradient), np.isfinite(oracle))
    assert np.isnan(loss)
    assert np.isnan(expected)


def test_float64_arguments_go_to_the_oracles():
    x, w = np.full((1, 3, 3, 1), 1 / 3), np.full((3, 3, 1, 1), 1 / 3)
    y = kernels.conv2d(x, w, None, (1, 1), (0, 0))
    assert y.dtype == np.float64
    assert y[0, 0, 0, 0] == pytest.approx(1, abs=1e-15)


def test_every_name_has_an_oracle():
    for name in FLOAT32_NAMES:
        assert callable(getattr(reference, name))


def agree_with_sums(name, dy, *args):
    """An array and sums over dy: to what the size of their terms allows, and the same bits each time."""
    dx, *sums = getattr(kernels, name)(dy, *args)
    again = getattr(kernels, name)(dy, *args)
    assert np.array_equal(dx, again[0])
    assert sums == list(again[1:])
    oracle, *expected = getattr(reference, name)(*[double(a) for a in (dy, *args)])
    largest = np.abs(dy).max(initial=0)
    np.testing.assert_allclose(dx, oracle, atol=2e-4 * largest)
    np.testing.assert_allclose(sums, expected, atol=1e-4 * np.abs(dy).sum())


@FEW
@given(seed=SEEDS, size=st.sampled_from([1, 7, 256, 257, 8192, 20_000]), signed=st.booleans())
def test_fake_quantization(seed, size, signed):
    rng = np.random.default_rng(seed)
    x, dy = draw(rng, size), draw(rng, size)
    step, offset = float(np.abs(x).max()) / 5 + 1e-6, float(x.mean()) if signed else 0.0
    grid = (step, offset, -4 if signed else 0, 3 if signed else 7)
    # In float32 an entry near a threshold may round to the other side.
    place = (x.astype(np.float64) - offset) / step
    clear = np.abs(place - np.floor(place) - 0.5) > 1e-3
    clear &= np.abs(place - np.rint(place)) > 1e-3
    x, dy = x[clear], dy[clear]
    agree("fake_quantize", x, *grid)
    agree_with_sums("fake_quantize_backward", dy, x, *grid, 0.2)


@FEW
@given(
    seed=SEEDS,
    size=st.sampled_from([1, 7, 256, 257, 20_000]),
    cells=st.sampled_from([1, 3, 15]),
    alpha=st.floats(0.01, 0.499),
)
def test_soft_rounding(seed, size, cells, alpha):
    rng = np.random.default_rng(seed)
    x, dy = rng.uniform(-1.5, 1.5, (2, size)).astype(np.float32)
    place = (x + 1.2) / 2.1 * cells
    x, dy = (a[np.abs(place - np.rint(place)) > 1e-3] for a in (x, dy))
    agree_with_sums("soft_round_backward", dy, x, -1.2, 0.9, cells, alpha)


@FEW
@given(
    seed=SEEDS, size=st.sampled_from([1, 7, 256, 257, 20_000]), signed=st.booleans(), count=st.integers(0, 2)
)
def test_nested_rounding(seed, size, signed, count):
    rng = np.random.default_rng(seed)
    x, dy = rng.uniform(-1.5, 1.5, (2, size)).astype(np.float32)
    gates, low = rng.uniform(0, 1, count).astype(np.float32), -1.2 if signed else 0.0
    # Away from the thresholds of every width, where float32 may round to the other side.
    inside = reference.clip_inside(x.astype(np.float64), low, 1.2)
    rest, clear = inside.copy(), np.ones(size, bool)
    for k, term in enumerate(reference.nested_terms(inside, low, 1.2, count + 1)):
        step = (1.2 - low) / (2 ** (2 ** (k + 1)) - 1)
        clear &= np.abs(np.abs(rest - term) / step - 0.5) > 1e-2
        rest = rest - term
    clear |= inside != x
    x, dy = x[clear], dy[clear]
    agree("nested_round", x, low, 1.2, gates)
    dx, shares, dreach = kernels.nested_round_backward(dy, x, low, 1.2, gates)
    oracle = reference.nested_round_backward(*[double(a) for a in (dy, x, low, 1.2, gates)])
    assert np.array_equal(dx, oracle[0].astype(np.float32))
    bound = 1e-4 * np.abs(dy).sum()
    np.testing.assert_allclose(shares, oracle[1], atol=bound)
    assert abs(dreach - oracle[2]) <= bound
