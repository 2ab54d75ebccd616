"""Batch normalisation with the ReLU and the residual sum that follow it; float32, channels last.

Everything here is work per channel on an array of rows (pixels) × channels. Channels may be few, and a
loop over 5 of them fills no vector register. So the per-channel numbers are repeated until they make a
`block` of about a thousand, and the loops run over blocks of whole rows: long, without remainders, and in
the L1 cache. Each loop does one thing to one block; the compiler turns it into vector instructions.

Sums are taken by chunks of rows whose number depends on the size alone, in float32 within a block's
place and in float64 from there on. So bits do not depend on the number of threads, and the variance is
accurate: it is summed about the first row rather than about zero.
"""

from functools import lru_cache

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, ZERO, flat
from psgd_ref.kernels.borders import copy
from psgd_ref.kernels.compile import body, inner, kernel, strict
from psgd_ref.kernels.parallel import THREADS, for_each

_BLOCK = 1024
# Blocks for numbers of each channel, repeated; every thread has two more.
_TABLES = 4


@lru_cache(maxsize=1024)
def layout(size: int, channels: int) -> tuple[int, int]:
    """Elements of a block (whole rows) and of a chunk: eight blocks, more where that makes over 64 chunks."""
    block = channels * max(1, _BLOCK // channels)
    return block, block * max(8, -(-size // (64 * block)))


def _room(x: Array) -> tuple[Array, Array, tuple[int, int]]:
    """Room for two sums a channel of every chunk and for all blocks, and the layout."""
    channels = x.shape[-1]
    block, chunk = sizes = layout(x.size, channels)
    sums: Array = np.empty((-(-x.size // chunk), 2, channels))
    return sums, np.empty((_TABLES + 2 * THREADS, block), np.float32), sizes


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
    """As `reference.batch_norm_train`."""
    y: Array = memory.empty(x.shape)
    mean, var = np.empty_like(gamma), np.empty_like(gamma)
    _train(
        flat(x), NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta), mean,
        var, running_mean, running_var, float(momentum), float(eps), relu, *_room(x),
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
    _, work, sizes = _room(x)
    _normalise(
        flat(x), NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta),
        flat(mean), flat(var), float(eps), relu, work, sizes,
    )  # fmt: skip
    return y


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
) -> tuple[Array, Array, Array, Array | None]:
    """As `reference.batch_norm_backward`."""
    gated = relu and y is not None
    dz = memory.empty(x.shape) if gated else np.ascontiguousarray(dy)
    # Where nobody needs dz, dx takes its place: less memory passes through the caches.
    dx = dz if gated and not need_dz else memory.empty(x.shape)
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
    _backward(
        flat(dy), flat(x), flat(y) if gated and y is not None else NONE, dz.reshape(-1), dx.reshape(-1),
        flat(gamma), flat(mean), flat(var), float(eps), dgamma, dbeta, *_room(x),
    )  # fmt: skip
    return dx, dgamma, dbeta, dz if need_dz else None


def channel_sum(dy: Array) -> Array:
    """As `reference.channel_sum`."""
    total = np.empty(dy.shape[-1], np.float32)
    _channel_sum(flat(dy), total, *_room(dy))
    return total


@kernel
def _train(
    x, residual, y, gamma, beta, mean, var, running_mean, running_var, momentum, eps, relu, sums, work, sizes
):
    _statistics(x, mean, var, sums, work, sizes)
    count = x.size / len(mean)
    _move(running_mean, mean, 1.0, momentum)
    _move(running_var, var, count / max(count - 1, 1.0), momentum)
    _normalise(x, residual, y, gamma, beta, mean, var, eps, relu, work, sizes)


@strict
def _move(running, value, factor, momentum):
    """running += momentum (factor · value − running), each operation rounded as the oracle's are."""
    factor, momentum = np.float32(factor), np.float32(momentum)
    for c in range(len(running)):
        running[c] += momentum * (value[c] * factor - running[c])


@inner
def _statistics(x, mean, var, sums, work, sizes):
    block, chunk = sizes
    channels = len(mean)
    count, centre = x.size / channels, work[0]
    # Any number near the mean will do; one that is not finite would spoil a finite sum.
    for c in range(channels):
        centre[c] = x[c] if x.size > 0 and np.isfinite(x[c]) else ZERO
    _repeat(centre, channels)
    for_each(len(sums), x.size, _moments, (x, centre, sums, work, block, chunk))
    for c in range(channels):
        total, squares = _total(sums, c)
        mean[c] = centre[c] + total / count
        # Rounding must not make it negative; NaN stays NaN.
        spread = squares / count - (total / count) ** 2
        var[c] = 0.0 if spread < 0 else spread


@kernel
def _normalise(x, residual, y, gamma, beta, mean, var, eps, relu, work, sizes):
    block, chunk = sizes
    centre, factor, shift = work[0], work[1], work[2]
    for c in range(len(gamma)):
        centre[c], factor[c], shift[c] = mean[c], gamma[c] / np.sqrt(var[c] + eps), beta[c]
    for t in range(3):
        _repeat(work[t], len(gamma))
    arguments = (x, residual, y, centre, factor, shift, work, relu, block, chunk)
    for_each((x.size + chunk - 1) // chunk, x.size, _normalise_chunk, arguments)


@kernel
def _backward(dy, x, y, dz, dx, gamma, mean, var, eps, dgamma, dbeta, sums, work, sizes):
    block, chunk = sizes
    channels = len(gamma)
    count = x.size / channels
    centre, factor, slope, offset = work[0], work[1], work[2], work[3]
    for c in range(channels):
        centre[c] = mean[c]
    _repeat(centre, channels)
    for_each(len(sums), x.size, _products, (dy, y, dz, x, centre, sums, work, block, chunk))
    # dx = factor·(dz − mean(dz) − (x − m)·mean(dz·(x − m))/(v+ε)) = factor·dz + slope·(x − m) + offset
    for c in range(channels):
        total, product = _total(sums, c)
        deviation = np.sqrt(var[c] + eps)
        dbeta[c], dgamma[c] = total, product / deviation
        factor[c] = gamma[c] / deviation
        slope[c] = -gamma[c] * product / (count * deviation * deviation * deviation)
        offset[c] = -gamma[c] * total / (count * deviation)
    for t in range(1, 4):
        _repeat(work[t], channels)
    arguments = (dz, x, dx, centre, factor, slope, offset, work, block, chunk)
    for_each(len(sums), x.size, _input_gradient, arguments)


@kernel
def _channel_sum(dy, total, sums, work, sizes):
    block, chunk = sizes
    for_each(len(sums), dy.size, _plain_sums, (dy, sums, work, block, chunk))
    for c in range(len(total)):
        total[c] = _total(sums, c)[0]


@inner
def _repeat(row, count):
    """Repeat the first `count` numbers of a row over the rest of it."""
    done = count
    while done < len(row):
        more = min(done, len(row) - done)
        copy(row[:more], row[done : done + more])
        done += more


@inner
def _blocks(work, worker):
    """The two blocks of a thread."""
    return work[_TABLES + 2 * worker], work[_TABLES + 2 * worker + 1]


@inner
def _total(sums, channel):
    first, second = 0.0, 0.0
    for chunk in range(len(sums)):
        first += sums[chunk, 0, channel]
        second += sums[chunk, 1, channel]
    return first, second


@inner
def _clear(first, second):
    for i in range(len(first)):
        first[i] = ZERO
        second[i] = ZERO


@inner
def _fold(sums, first, second):
    """The sums of the rows of a block, in float64: sums (2, channels)."""
    channels = sums.shape[1]
    for c in range(channels):
        sums[0, c] = 0
        sums[1, c] = 0
    for start in range(0, len(first), channels):
        for c in range(channels):
            sums[0, c] += first[start + c]
            sums[1, c] += second[start + c]


@body
def _moments(index, worker, x, centre, sums, work, block, chunk):
    """Σ (x − centre) and Σ (x − centre)² over the rows of one chunk."""
    first, second = _blocks(work, worker)
    _clear(first, second)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a = x[start : start + block]
        for i in range(a.size):
            first[i] += a[i] - centre[i]
        for i in range(a.size):
            second[i] += (a[i] - centre[i]) * (a[i] - centre[i])
    _fold(sums[index], first, second)


@body
def _plain_sums(index, worker, x, sums, work, block, chunk):
    """Σ x over the rows of one chunk."""
    first, second = _blocks(work, worker)
    _clear(first, second)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a = x[start : start + block]
        for i in range(a.size):
            first[i] += a[i]
    _fold(sums[index], first, second)


@body
def _products(index, worker, dy, y, dz, x, centre, sums, work, block, chunk):
    """Σ dz and Σ dz·(x − centre) over one chunk; with a y, dz = dy where y > 0 or NaN, else 0."""
    first, second = _blocks(work, worker)
    _clear(first, second)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, b = dz[start : start + block], x[start : start + block]
        if y.size > 0:
            given, output = dy[start : start + block], y[start : start + block]
            for i in range(a.size):
                a[i] = ZERO if output[i] <= ZERO else given[i]
        for i in range(a.size):
            first[i] += a[i]
        for i in range(a.size):
            second[i] += a[i] * (b[i] - centre[i])
    _fold(sums[index], first, second)


@body
def _normalise_chunk(index, worker, x, residual, y, centre, factor, beta, work, relu, block, chunk):
    row, _ = _blocks(work, worker)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, out = x[start : start + block], y[start : start + block]
        for i in range(a.size):
            row[i] = (a[i] - centre[i]) * factor[i] + beta[i]
        if residual.size > 0:
            b = residual[start : start + block]
            for i in range(a.size):
                row[i] += b[i]
        if relu:
            # From one array to another: in place, the compiler would store only the lanes that
            # change, by an instruction that is slow on some CPUs.
            for i in range(a.size):
                out[i] = ZERO if row[i] < ZERO else row[i]
        else:
            for i in range(a.size):
                out[i] = row[i]


@body
def _input_gradient(index, worker, dz, x, dx, centre, factor, slope, offset, work, block, chunk):
    row, _ = _blocks(work, worker)
    for start in range(index * chunk, min(x.size, (index + 1) * chunk), block):
        a, b = dz[start : start + block], x[start : start + block]
        # By way of a row, because dx may be dz: on arrays that overlap the loop would go one by one.
        for i in range(a.size):
            row[i] = a[i] * factor[i] + ((b[i] - centre[i]) * slope[i] + offset[i])
        copy(row[: a.size], dx[start : start + block])
