"""Batch normalisation with the ReLU and the residual sum that follow it; float32, channels last.

Everything here is work per channel on an array of rows (pixels) × channels. Channels may be few, and a
loop over 5 of them fills no vector register. So the per-channel numbers are repeated until they make a
`block` of about a thousand, and the loops run over blocks of whole rows: long, without remainders, and in
the L1 cache. Each loop does one thing to one block; the compiler turns it into vector instructions.

Sums are taken by chunks of rows whose number depends on the size alone, in float32 within a block's
place and in float64 from there on. So bits do not depend on the number of threads, and the variance is
accurate: it is summed about the first row rather than about zero.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import for_each

_BLOCK = 1024


def layout(size: int, channels: int) -> tuple[int, int]:
    """Elements of a block (whole rows) and of a chunk: eight blocks, more where that makes over 64 chunks."""
    block = channels * max(1, _BLOCK // channels)
    return block, block * max(8, -(-size // (64 * block)))


_NONE = np.empty(0, np.float32)


def batch_norm_train(
    x: Array, gamma: Array, beta: Array, eps: float, residual: Array | None, relu: bool
) -> tuple[Array, Array, Array]:
    """As `reference.batch_norm_train`."""
    channels = x.shape[-1]
    y, mean, var = memory.empty(x.shape), np.empty(channels, np.float32), np.empty(channels, np.float32)
    _train(
        flat(x), _NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta),
        mean, var, float(eps), relu, layout(x.size, channels),
    )  # fmt: skip
    return y, mean, var


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
    """As `reference.batch_norm_eval`."""
    y: Array = memory.empty(x.shape)
    _eval(
        flat(x), _NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta),
        flat(mean), flat(var), float(eps), relu, layout(x.size, x.shape[-1]),
    )  # fmt: skip
    return y


def batch_norm_backward(
    dy: Array, x: Array, y: Array | None, gamma: Array, mean: Array, var: Array, eps: float, relu: bool
) -> tuple[Array, Array, Array, Array]:
    """As `reference.batch_norm_backward`."""
    channels = x.shape[-1]
    gated = relu and y is not None
    dz = memory.empty(x.shape) if gated else np.ascontiguousarray(dy)
    dx, dgamma, dbeta = memory.empty(x.shape), np.empty(channels, np.float32), np.empty(channels, np.float32)
    _backward(
        flat(dy), flat(x), flat(y) if gated and y is not None else _NONE, dz.reshape(-1), dx.reshape(-1),
        flat(gamma), flat(mean), flat(var), float(eps), dgamma, dbeta, layout(x.size, channels),
    )  # fmt: skip
    return dx, dgamma, dbeta, dz


def channel_sum(dy: Array) -> Array:
    """As `reference.channel_sum`."""
    total = np.empty(dy.shape[-1], np.float32)
    _channel_sum(flat(dy), total, layout(dy.size, dy.shape[-1]))
    return total


@kernel
def _train(x, residual, y, gamma, beta, mean, var, eps, relu, sizes):
    block, chunk = sizes
    channels = len(gamma)
    count = x.size / channels
    # Any number near the mean will do; one that is not finite would spoil a finite sum.
    centre = np.zeros(channels, np.float32)
    for c in range(channels):
        if x.size > 0 and np.isfinite(x[c]):
            centre[c] = x[c]
    sums = np.zeros(((x.size + chunk - 1) // chunk, 2, channels))
    for_each(len(sums), x.size, _moments, (x, _repeated(centre, block), sums, block, chunk))
    for c in range(channels):
        total, squares = _total(sums, c)
        mean[c] = centre[c] + total / count
        # Rounding must not make it negative; NaN stays NaN.
        spread = squares / count - (total / count) ** 2
        var[c] = 0.0 if spread < 0 else spread
    _eval(x, residual, y, gamma, beta, mean, var, eps, relu, sizes)


@kernel
def _eval(x, residual, y, gamma, beta, mean, var, eps, relu, sizes):
    block, chunk = sizes
    factor = np.empty_like(gamma)
    for c in range(len(gamma)):
        factor[c] = gamma[c] / np.sqrt(var[c] + eps)
    centre, factors, shift = _repeated(mean, block), _repeated(factor, block), _repeated(beta, block)
    arguments = (x, residual, y, centre, factors, shift, relu, block, chunk)
    for_each((x.size + chunk - 1) // chunk, x.size, _normalise, arguments)


@kernel
def _backward(dy, x, y, dz, dx, gamma, mean, var, eps, dgamma, dbeta, sizes):
    block, chunk = sizes
    count = x.size / len(gamma)
    chunks = (x.size + chunk - 1) // chunk
    sums = np.zeros((chunks, 2, len(gamma)))
    centre = _repeated(mean, block)
    if y.size > 0:
        for_each(chunks, x.size, _gated_products, (dy, y, dz, x, centre, sums, block, chunk))
    else:
        for_each(chunks, x.size, _products, (dz, x, centre, sums, block, chunk))
    # dx = factor·(dz − mean(dz) − (x − m)·mean(dz·(x − m))/(v+ε)) = factor·dz + slope·(x − m) + offset
    factor, slope, offset = np.empty_like(gamma), np.empty_like(gamma), np.empty_like(gamma)
    for c in range(len(gamma)):
        total, product = _total(sums, c)
        deviation = np.sqrt(var[c] + eps)
        dbeta[c], dgamma[c] = total, product / deviation
        factor[c] = gamma[c] / deviation
        slope[c] = -gamma[c] * product / (count * deviation * deviation * deviation)
        offset[c] = -gamma[c] * total / (count * deviation)
    factors, slopes, offsets = _repeated(factor, block), _repeated(slope, block), _repeated(offset, block)
    for_each(chunks, x.size, _input_gradient, (dz, x, dx, centre, factors, slopes, offsets, block, chunk))


@kernel
def _channel_sum(dy, total, sizes):
    block, chunk = sizes
    sums = np.zeros(((dy.size + chunk - 1) // chunk, 2, len(total)))
    for_each(len(sums), dy.size, _moments, (dy, np.zeros(block, np.float32), sums, block, chunk))
    for c in range(len(total)):
        total[c] = _total(sums, c)[0]


@inner
def _repeated(a, block):
    repeated = np.empty(block, np.float32)
    for start in range(0, block, len(a)):
        repeated[start : start + len(a)] = a
    return repeated


@inner
def _total(sums, channel):
    first, second = 0.0, 0.0
    for chunk in range(len(sums)):
        first += sums[chunk, 0, channel]
        second += sums[chunk, 1, channel]
    return first, second


@inner
def _fold(sums, first, second):
    """Add the rows of a block, in float64: sums (2, channels)."""
    channels = sums.shape[1]
    for start in range(0, len(first), channels):
        for c in range(channels):
            sums[0, c] += first[start + c]
            sums[1, c] += second[start + c]


@body
def _moments(index, worker, x, centre, sums, block, chunk):
    """Σ (x − centre) and Σ (x − centre)² over the rows of one chunk."""
    first, second = np.zeros(block, np.float32), np.zeros(block, np.float32)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a = x[start : start + block]
        for i in range(a.size):
            first[i] += a[i] - centre[i]
        for i in range(a.size):
            second[i] += (a[i] - centre[i]) * (a[i] - centre[i])
    _fold(sums[index], first, second)


@body
def _products(index, worker, dz, x, centre, sums, block, chunk):
    """Σ dz and Σ dz·(x − centre) over the rows of one chunk."""
    first, second = np.zeros(block, np.float32), np.zeros(block, np.float32)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, b = dz[start : start + block], x[start : start + block]
        for i in range(a.size):
            first[i] += a[i]
        for i in range(a.size):
            second[i] += a[i] * (b[i] - centre[i])
    _fold(sums[index], first, second)


@body
def _gated_products(index, worker, dy, y, dz, x, centre, sums, block, chunk):
    """As `_products`, with dz = dy where y > 0 or NaN, else 0."""
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, b, c = dy[start : start + block], y[start : start + block], dz[start : start + block]
        for i in range(a.size):
            c[i] = ZERO if b[i] <= ZERO else a[i]
    _products(index, worker, dz, x, centre, sums, block, chunk)


@body
def _normalise(index, worker, x, residual, y, centre, factor, beta, relu, block, chunk):
    work = np.empty(block, np.float32)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, out = x[start : start + block], y[start : start + block]
        for i in range(a.size):
            work[i] = (a[i] - centre[i]) * factor[i] + beta[i]
        if residual.size > 0:
            b = residual[start : start + block]
            for i in range(a.size):
                work[i] += b[i]
        if relu:
            # From one array to another: in place, the compiler would store only the lanes that
            # change, by an instruction that is slow on some CPUs.
            for i in range(a.size):
                out[i] = ZERO if work[i] < ZERO else work[i]
        else:
            for i in range(a.size):
                out[i] = work[i]


@body
def _input_gradient(index, worker, dz, x, dx, centre, factor, slope, offset, block, chunk):
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, b, out = dz[start : start + block], x[start : start + block], dx[start : start + block]
        for i in range(a.size):
            out[i] = (b[i] - centre[i]) * slope[i] + offset[i]
        for i in range(a.size):
            out[i] += a[i] * factor[i]
