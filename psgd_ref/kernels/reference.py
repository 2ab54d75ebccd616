"""The readable oracle of every kernel: plain NumPy, any float dtype, each function beside its formula.

Arrays are NHWC, convolution weights HWIO. `stride`, `padding` and `size` are (height, width) pairs.
Arguments are trusted here: `checks.py` has looked at what comes through the package's face.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from psgd_ref.core import UniformGrid, Zero, position_scale
from psgd_ref.core.arguments import Array
from psgd_ref.kernels.parts import SMALLEST_STEP, Parts

Pair = tuple[int, int]
Indices = npt.NDArray[np.integer]
NESTED_INSIDE = 1 - 1e-7


def _pad(x: Array, padding: Pair, value: float = 0.0) -> Array:
    (top, left) = padding
    return np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), constant_values=value)


def _windows(x: Array, size: Pair, stride: Pair) -> Array:
    """Every window of x, shape (N, OH, OW, C, KH, KW): a view."""
    return sliding_window_view(x, size, axis=(1, 2))[:, :: stride[0], :: stride[1]]


class Norm(NamedTuple):
    """A batch norm with given statistics and the ReLU after it, through which a convolution reads its input.

    max(γ (x − m)/√(v + ε) + β, 0); gamma, beta, mean and var have a number for every channel of x.
    """

    gamma: Array
    beta: Array
    mean: Array
    var: Array
    eps: float

    def __call__(self, x: Array) -> Array:
        """x normalised."""
        return batch_norm_eval(x, *self, None, True)


class After(NamedTuple):
    """A batch norm with given statistics, through which a convolution's output passes.

    y = γ (x − m)/√(v + ε) + β [+ residual], then max(y, 0) with `relu`; the norm has no ReLU of its own here.
    """

    norm: Norm
    residual: Array | None
    relu: bool

    def __call__(self, x: Array) -> Array:
        """y."""
        return batch_norm_eval(x, *self.norm, self.residual, self.relu)


class NormGradient(NamedTuple):
    """What takes the gradient behind a batch norm (and its ReLU) to the one before it, number by number.

    dx = dz·f + (x − m)·s + o; dz = dy, or with `gated` dy where (x − m)·f + b > 0. x is the norm's input;
    m, f, s, o and b are the rows of `terms`, each with a number for every channel.
    """

    x: Array
    terms: Array
    gated: bool

    def __call__(self, dy: Array) -> Array:
        """dx."""
        mean, factor, slope, offset, shift = self.terms
        moved = self.x - mean
        dz = relu_backward(dy, moved * factor + shift) if self.gated else dy
        dx: Array = dz * factor + moved * slope + offset
        return dx


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    norm: Norm | None = None,
    after: After | None = None,
) -> Array:
    """y[n,h,w,o] = b[o] + Σ_{i,j,c} x[n, h·s+i−p, w·s+j−p, c] · w[i,j,c,o], over the pixels that x has.

    Padding is absent, not zero: 0 · NaN and 0 · ∞ would be NaN, and a border that nobody gave would decide
    which results are spoiled.

    Parameters
    ----------
    norm
        What x passes through first; None for nothing.
    after
        What y passes through; None for nothing.
    """
    if norm is not None:
        x = norm(x)
    size = [(x.shape[k + 1] + 2 * padding[k] - w.shape[k]) // stride[k] + 1 for k in (0, 1)]
    y = np.zeros((x.shape[0], *size, w.shape[3]), np.result_type(x, w))
    for i, j, results, pixels in _meetings(x.shape, w.shape, y.shape, stride, padding):
        y[results] += x[pixels] @ w[i, j]
    y = y if bias is None else y + bias
    return y if after is None else after(y)


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    need_dx: bool = True,
    into: Array | None = None,
    norm: Norm | None = None,
    plus: Array | None = None,
    through: NormGradient | None = None,
) -> tuple[Array | None, Array]:
    """Gradients of `conv2d`: dw[i,j,c,o] = Σ x[…]·dy[…,o], and dx scatters dy·wᵀ back over each window.

    Parameters
    ----------
    need_dx
        Whether dx is wanted; it is None otherwise.
    into
        An array in the shape of w to put dw in, a new one by default.
    norm
        What x passed through first; dx is the gradient of what came out of it.
    plus
        Added to dx: the gradient of another use of x.
    through
        What dy is taken through first.

    Returns
    -------
    dx, dw
    """
    if norm is not None:
        x = norm(x)
    if through is not None:
        dy = through(dy)
    dw = np.zeros(w.shape, np.result_type(dy, x)) if into is None else into
    dx = np.zeros(x.shape, np.result_type(dy, w)) if need_dx else None
    for i, j, results, pixels in _meetings(x.shape, w.shape, dy.shape, stride, padding):
        dw[i, j] = np.tensordot(x[pixels], dy[results], axes=([0, 1, 2], [0, 1, 2]))
        if dx is not None:
            dx[pixels] += dy[results] @ w[i, j].T
    return dx if dx is None or plus is None else dx + plus, dw


def grouped_conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, groups: int) -> Array:
    """Of x (N, H, W, I) and w (KH, KW, I/G, O) a `conv2d` for each of G groups of inputs and of outputs.

    Group g has the inputs g I/G … (g + 1) I/G − 1 and the outputs g O/G … (g + 1) O/G − 1. With G = I it is
    a depthwise convolution.
    """
    parts = [conv2d(xs, ws, None, stride, padding) for xs, ws in _groups(groups, x, w)]
    y = np.concatenate(parts, axis=-1)
    return y if bias is None else y + bias


def grouped_conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    groups: int,
    need_dx: bool = True,
    into: Array | None = None,
) -> tuple[Array | None, Array]:
    """Gradients of `grouped_conv2d`: those of `conv2d` for each group; otherwise as `conv2d_backward`."""
    parts = [
        conv2d_backward(dys, xs, ws, stride, padding, need_dx) for dys, xs, ws in _groups(groups, dy, x, w)
    ]
    dw = np.concatenate([part for _, part in parts], axis=-1, out=into)
    return np.concatenate([part for part, _ in parts if part is not None], axis=-1) if need_dx else None, dw


def _groups(groups: int, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The part of every array, along its last axis, that belongs to each group."""
    return zip(*(np.split(array, groups, axis=-1) for array in arrays), strict=True)


def _meetings(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], y_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> Iterator[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """For every element (i, j) of the window: the results where it meets the image, and at which pixels."""
    for place in np.ndindex(w_shape[:2]):
        results, pixels = [slice(None)], [slice(None)]
        for k in (0, 1):
            # Those h with 0 ≤ h·s + i − p < length.
            first = place[k] - padding[k]
            low = max(0, -(first // stride[k]))
            high = max(low, min(y_shape[k + 1], (x_shape[k + 1] - 1 - first) // stride[k] + 1))
            results.append(slice(low, high))
            pixels.append(slice(low * stride[k] + first, high * stride[k] + first, stride[k]))
        yield *place, tuple(results), tuple(pixels)


def _window_slice(padded: Array, i: int, j: int, out_shape: tuple[int, ...], stride: Pair) -> Array:
    """The pixels that meet kernel element (i, j), one for each output pixel."""
    _, height, width, _ = out_shape
    rows = slice(i, i + stride[0] * height, stride[0])
    columns = slice(j, j + stride[1] * width, stride[1])
    return padded[:, rows, columns][:, :height, :width]


def _crop(padded: Array, padding: Pair) -> Array:
    _, height, width, _ = padded.shape
    return padded[:, padding[0] : height - padding[0], padding[1] : width - padding[1]]


def linear(x: Array, w: Array, bias: Array | None) -> Array:
    """y = x w + b, x (N, I), w (I, O)."""
    return x @ w if bias is None else x @ w + bias


def linear_backward(
    dy: Array,
    x: Array,
    w: Array,
    need_dx: bool = True,
    into: Array | None = None,
    bias_into: Array | None = None,
) -> tuple[Array | None, Array]:
    """Gradients of `linear`: dx = dy wᵀ, dw = xᵀ dy.

    Parameters
    ----------
    need_dx
        Whether dx is wanted; it is None otherwise.
    into
        An array in the shape of w to put dw in, a new one by default.
    bias_into
        An array for the gradient of the bias, which is not taken without one.

    Returns
    -------
    dx, dw
    """
    if bias_into is not None:
        channel_sum(dy, bias_into)
    return (dy @ w.T if need_dx else None), np.matmul(x.T, dy, out=into)


def channel_sum(dy: Array, into: Array | None = None) -> Array:
    """Gradient of a bias: the sum over all axes but the last, put in the array `into` if there is one."""
    return np.asarray(dy.sum(axis=tuple(range(dy.ndim - 1)), out=into))


def batch_norm_train(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
    residual: Array | None,
    relu: bool,
) -> tuple[Array, Array, Array]:
    """y = γ(x − m)/√(v + ε) + β [+ residual], optionally max(y, 0), with batch mean m and biased variance v.

    Parameters
    ----------
    running_mean, running_var
        Moved in place, by `momentum`, towards m and the unbiased variance v n/(n − 1) of n rows.
    residual
        Added before the ReLU; None for none.
    relu
        Whether max(y, 0) is taken.

    Returns
    -------
    y, m, v; m and v are taken over all axes but the last.
    """
    mean, var = batch_norm_statistics(x, running_mean, running_var, momentum)
    return batch_norm_eval(x, gamma, beta, mean, var, eps, residual, relu), mean, var


def batch_norm_statistics(
    x: Array, running_mean: Array, running_var: Array, momentum: float
) -> tuple[Array, Array]:
    """The m and v of `batch_norm_train` alone; moves the running ones as it does."""
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (count / max(count - 1, 1)) - running_var)
    return mean, var


def batch_norm_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    residual: Array | None,
    relu: bool,
) -> Array:
    """`batch_norm_train` with given mean and variance."""
    y = gamma * (x - mean) / np.sqrt(var + eps) + beta
    if residual is not None:
        y = y + residual
    return np.asarray(np.maximum(y, 0) if relu else y)


def batch_norm_gradient(
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool = True,
    into: tuple[Array, Array] | None = None,
    beta: Array | None = None,
) -> tuple[Array, NormGradient, Array, Array]:
    """As `batch_norm_backward`, but dx is left to whoever reads it: dx = through(given).

    With f = γ/√(v+ε): s = −f mean(dz (x − m))/(v+ε), o = −f mean(dz), b = β.

    Returns
    -------
    given, through, dγ, dβ
        given is dz with `need_dz`; else it may be dy.
    """
    if beta is not None and y is None:
        y = batch_norm_eval(x, gamma, beta, mean, var, eps, None, relu)
    dz = relu_backward(dy, y) if relu and y is not None else dy
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    std = np.sqrt(var + eps)
    dgamma = (dz * ((x - mean) / std)).sum(axes, out=None if into is None else into[0])
    dbeta = dz.sum(axes, out=None if into is None else into[1])
    factor, shift = gamma / std, np.zeros_like(gamma) if beta is None else beta
    terms = mean, factor, -factor / std * dgamma / count, -factor * dbeta / count, shift
    return dz, NormGradient(x, np.array(terms), False), dgamma, dbeta


def batch_norm_backward(
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool = True,
    into: tuple[Array, Array] | None = None,
    beta: Array | None = None,
) -> tuple[Array, Array, Array, Array | None]:
    """Gradients of `batch_norm_train`: dx, dγ, dβ and dz, the gradient before the ReLU (the residual's).

    With x̂ = (x − m)/√(v+ε): dγ = Σ dz x̂, dβ = Σ dz, dx = γ/√(v+ε) · (dz − mean(dz) − x̂ mean(dz x̂)).

    Parameters
    ----------
    y
        The output, for the ReLU's gradient; with None it is left out, unless there is a beta.
    need_dz
        Whether dz is wanted; it is None otherwise.
    into
        Arrays to put dγ and dβ in, new ones by default.
    beta
        In place of a y without residual: β, from which y is computed again.

    Returns
    -------
    dx, dγ, dβ, dz
    """
    if beta is not None and y is None:
        y = batch_norm_eval(x, gamma, beta, mean, var, eps, None, relu)
    dz = relu_backward(dy, y) if relu and y is not None else dy
    axes = tuple(range(x.ndim - 1))
    normalised = (x - mean) / np.sqrt(var + eps)
    dgamma = (dz * normalised).sum(axes, out=None if into is None else into[0])
    dbeta = dz.sum(axes, out=None if into is None else into[1])
    count = x.size // x.shape[-1]
    dx = gamma / np.sqrt(var + eps) * (dz - dbeta / count - normalised * dgamma / count)
    return dx, dgamma, dbeta, dz if need_dz else None


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def relu_backward(dy: Array, y: Array) -> Array:
    """dy where the output is positive, 0 elsewhere; NaN outputs pass their gradient on."""
    return np.where(y <= 0, np.zeros_like(dy), dy)


def max_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> tuple[Array, Indices]:
    """Largest value of each window and which of its KH·KW elements it is: the first of equals inside."""
    flat = _flat_windows(_pad(x, padding, -np.inf), size, stride)
    winner = flat.argmax(axis=-1)
    largest = np.take_along_axis(flat, winner[..., None], axis=-1)[..., 0]
    # Where all of the image is −∞, as the padding is, the padding does not win.
    inside = _flat_windows(_pad(np.ones((1, *x.shape[1:3], 1)), padding), size, stride)
    return largest, np.where(largest == -np.inf, inside.argmax(axis=-1), winner)


def _flat_windows(x: Array, size: Pair, stride: Pair) -> Array:
    windows = _windows(x, size, stride)
    return windows.reshape(*windows.shape[:4], size[0] * size[1])


def max_pool2d_backward(
    dy: Array, winner: Indices, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Each window's gradient goes to its winner."""
    dx = np.zeros(_padded_shape(x_shape, padding), dy.dtype)
    for i in range(size[0]):
        for j in range(size[1]):
            won = winner == i * size[1] + j
            _window_slice(dx, i, j, dy.shape, stride)[...] += np.where(won, dy, 0)
    return _crop(dx, padding)


def avg_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    """Mean of each window; padding counts as zeros."""
    return np.asarray(_windows(_pad(x, padding), size, stride).mean(axis=(4, 5)))


def avg_pool2d_backward(
    dy: Array, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Each window's gradient is shared equally by its KH·KW elements."""
    dx = np.zeros(_padded_shape(x_shape, padding), dy.dtype)
    share = dy / (size[0] * size[1])
    for i in range(size[0]):
        for j in range(size[1]):
            _window_slice(dx, i, j, dy.shape, stride)[...] += share
    return _crop(dx, padding)


def _padded_shape(shape: tuple[int, ...], padding: Pair) -> tuple[int, ...]:
    return (shape[0], shape[1] + 2 * padding[0], shape[2] + 2 * padding[1], shape[3])


def global_avg_pool(x: Array) -> Array:
    """Mean over height and width: (N, H, W, C) → (N, C)."""
    return np.asarray(x.mean(axis=(1, 2)))


def global_avg_pool_backward(dy: Array, x_shape: tuple[int, ...]) -> Array:
    """The gradient of each mean, shared equally by its pixels."""
    share = dy / (x_shape[1] * x_shape[2])
    return np.broadcast_to(share[:, None, None, :], x_shape).copy()


def cross_entropy(logits: Array, labels: Indices, label_smoothing: float) -> tuple[float, Array]:
    """−Σ q log softmax(z)/N and (softmax(z) − q)/N; q = smoothing/K + (1 − smoothing)[k is the label]."""
    count, classes = logits.shape
    # Shifted by the largest, so that nothing overflows.
    shifted = logits - logits.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    target = np.full(logits.shape, label_smoothing / classes, logits.dtype)
    target[np.arange(count), labels] += 1 - label_smoothing
    return float(-(target * log_p).sum() / count), (np.exp(log_p) - target) / count


def psgd_update(
    w: Array,
    g: Array,
    v: Array,
    parts: Parts,
    steps: Array,
    lr: float,
    momentum: float,
    weight_decay: float,
    grid_decay: float = 0.0,
) -> bool:
    """PSGD with momentum and decay to zero and to the grid: the optimiser's step in one call.

        v ← μ v + s(w) g + κ w + ρ (w − w̄),   w ← w − η v,   w̄ the target nearest to w

    First the Δ of every slot is brought up to w as `Part.refit` says. Modifies `steps`, then w and v.

    Parameters
    ----------
    steps
        The Δ of every slot, (slots,).
    weight_decay, grid_decay
        κ and ρ; parts without targets have ρ = 0.

    Returns
    -------
    False, and w and v as they were, where a part that has targets holds a weight that is not finite; else
    True.
    """
    steps[...] = fitted_steps(w, parts, steps)
    if not np.isfinite(steps).all():
        return False
    first = 0
    for part in parts.parts:
        span = slice(part.start, part.stop)
        rows, scale = w[span].reshape(-1, part.channels), np.ones_like(w[span]).reshape(-1, part.channels)
        off_target = np.zeros_like(scale)
        for channel in range(part.channels if part.levels is not None else 0):
            targets = UniformGrid(float(steps[first + channel]), part.levels) if part.levels else Zero()
            column = rows[:, channel]
            scale[:, channel] = position_scale(column, targets, part.eps, part.strength, part.cap)
            off_target[:, channel] = column - targets.nearest(column)
        pull = weight_decay * w[span] + grid_decay * off_target.ravel()
        v[span] = momentum * v[span] + scale.ravel() * g[span] + pull
        w[span] -= lr * v[span]
        first += part.channels
    return True


def fitted_steps(w: Array, parts: Parts, steps: Array) -> Array:
    """The Δ of every slot brought up to w, by `Part.refit`.

    Returns
    -------
    (slots,) in the dtype of w; 1 where all weights are 0 or there is no grid, NaN or infinite where a part
    that has targets, if only zero, has such a weight.
    """
    fitted = []
    for part, (_, _, first, _, _) in zip(parts.parts, parts.whole, strict=True):
        rows, before = (
            w[part.start : part.stop].reshape(-1, part.channels),
            steps[first : first + part.channels],
        )
        largest = np.abs(rows).max(axis=0, initial=0)
        step: Array = before
        if not part.levels:
            step = np.ones(part.channels)
        elif part.refit == "min-max":
            step = np.where(largest == 0, 1, np.maximum(largest / part.levels, SMALLEST_STEP))
        if part.levels and part.refit == "learned":
            codes = np.clip(np.rint(rows / before), -part.levels, part.levels)
            squares = (codes * codes).sum(axis=0)
            learned = (rows * codes).sum(axis=0) / np.maximum(squares, 1)
            step = np.where(squares > 0, np.maximum(learned, SMALLEST_STEP), before)
        fitted.append(step if part.levels is None else np.where(np.isfinite(largest), step, largest))
    return np.concatenate(fitted).astype(w.dtype)


def fake_quantize(x: Array, step: float, offset: float, low: int, high: int) -> Array:
    """step · clip(rint((x − offset)/step), low, high) + offset."""
    return np.asarray(np.clip(np.rint((x - offset) / step), low, high) * step + offset)


def fake_quantize_backward(
    dy: Array, x: Array, step: float, offset: float, low: int, high: int, pull: float = 0.0
) -> tuple[Array, float, float]:
    """Gradients by x, step and offset of `fake_quantize` where rint is taken for the identity (STE).

    v = (x − offset)/step, c its code, and for low < v < high: dx = dy (1 + pull sgn(dy)(v − c)), else 0.
    dstep = Σ (dy c − dx v), doffset = Σ (dy − dx).

    Parameters
    ----------
    pull
        0 is the plain straight-through estimator.

    Returns
    -------
    dx, dstep, doffset
    """
    v = (x - offset) / step
    code = np.clip(np.rint(v), low, high)
    dx = np.where((v > low) & (v < high), dy + pull * np.abs(dy) * (v - code), 0)
    return dx, float((dy * code - dx * v).sum()), float((dy - dx).sum())


def soft_round_backward(
    dy: Array, x: Array, lower: float, upper: float, cells: int, alpha: float
) -> tuple[Array, float, float, float]:
    """Gradients by x, lower, upper and alpha of DSQ's `compress.quantization_aware.dsq.soft_round`.

    t = (x − lower)/Δ in 0 … cells, r = t − cell − ½, φ = tanh(c r)/(1 − α), c = ln(2/α − 1), and the
    value is lower + Δ(cell + (φ + 1)/2). Outside the range it is the nearer end.

    Returns
    -------
    The gradients by x (shape of x), lower, upper and alpha.
    """
    c, gain = np.log(2 / alpha - 1), 1 / (1 - alpha)
    step = (upper - lower) / cells
    v = (x - lower) / step
    t = np.clip(v, 0, cells)
    cell = np.minimum(np.floor(t), cells - 1)
    r = t - cell - 0.5
    tanh = np.tanh(c * r)
    slope = np.where((v > 0) & (v < cells), gain * c * (1 - tanh**2) / 2, 0)
    share = (cell + (gain * tanh + 1) / 2) / cells
    dalpha = step / 2 * (gain**2 * tanh - gain * (1 - tanh**2) * r * 2 / (alpha * (2 - alpha)))
    return (
        dy * slope,
        float((dy * (1 - share - slope * (1 - t / cells))).sum()),
        float((dy * (share - slope * t / cells)).sum()),
        float((dy * dalpha).sum()),
    )


def nested_round(x: Array, lower: float, upper: float, gates: Array) -> Array:
    """Bayesian Bits' x₂ + z₄ (ε₄ + z₈ (ε₈ + …)) of x clipped to the range; gates z₄, z₈, … (widths − 1,)."""
    terms = nested_terms(clip_inside(x, lower, upper), lower, upper, len(gates) + 1)
    return np.asarray(sum(z * term for z, term in zip([1, *np.cumprod(gates)], terms, strict=True)))


def nested_round_backward(
    dy: Array, x: Array, lower: float, upper: float, gates: Array
) -> tuple[Array, Array, float]:
    """Gradients for `nested_round` where rint is taken for the identity.

    The range is [−u, u] or [0, u]: its gradient is Σ dy ((y − x)/u) inside, and ±dy is added beyond.

    Returns
    -------
    dx, which is dy inside the range, else 0; Σ dy ε_b for each gate, (widths − 1,); and the gradient by the
    reach u.
    """
    inside = clip_inside(x, lower, upper)
    terms = nested_terms(inside, lower, upper, len(gates) + 1)
    y = sum(z * term for z, term in zip([1, *np.cumprod(gates)], terms, strict=True))
    beyond = x != inside
    slope = (y - inside) / upper + np.where(beyond, np.sign(inside), 0)
    shares = np.array([(dy * term).sum() for term in terms[1:]], np.float64)
    return np.where(beyond, np.zeros_like(dy), dy), shares, float((dy * slope).sum())


def clip_inside(x: Array, lower: float, upper: float) -> Array:
    """x clipped to just inside the range, so that the outermost value is no tie of the first rounding."""
    return np.clip(x, x.dtype.type(lower * NESTED_INSIDE), x.dtype.type(upper * NESTED_INSIDE))


def nested_terms(x: Array, lower: float, upper: float, widths: int) -> list[Array]:
    """x₂, ε₄, ε₈, …: what 2, 4, 8, … bits each add to those before, as many as `widths`."""
    step, terms, total = (upper - lower) / 3, [], np.zeros_like(x)
    for k in range(widths):
        if k > 0:
            step /= 2 ** (2**k) + 1  # s_b = s_{b/2}/(2^{b/2} + 1), b/2 = 2^k
        terms.append(np.rint((x - total) / x.dtype.type(step)) * x.dtype.type(step))
        total = total + terms[-1]
    return terms
