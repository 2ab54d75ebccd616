"""Rounding to a uniform grid inside a network, and gradients for it; float32.

Sums over all entries are kept in one number for each place of a strip and each chunk, so that the loop
over a strip is made of vector instructions, and added up in float64 at the end.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat
from psgd_ref.kernels.compile import body, inner, loop_kernel
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import NESTED_INSIDE

_CHUNK, _STRIP = 8192, 256
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
# Operations for each entry, roughly: what decides whether threads pay.
_WORK = 4


def fake_quantize(x: Array, step: float, offset: float, low: int, high: int) -> Array:
    """As `reference.fake_quantize`."""
    y: Array = memory.empty(x.shape)
    _round(flat(x), y.reshape(-1), (np.float32(step), np.float32(offset), np.float32(low), np.float32(high)))
    return y


def fake_quantize_backward(
    dy: Array, x: Array, step: float, offset: float, low: int, high: int, pull: float = 0.0
) -> tuple[Array, float, float]:
    """As `reference.fake_quantize_backward`."""
    dx: Array = memory.empty(x.shape)
    options = (np.float32(step), np.float32(offset), np.float32(low), np.float32(high), np.float32(pull))
    sums = _sums(x.size, 2)
    _round_backward(flat(dy), flat(x), dx.reshape(-1), sums, options)
    dstep, doffset = _totals(sums)
    return dx, dstep, doffset


def soft_round_backward(
    dy: Array, x: Array, lower: float, upper: float, cells: int, alpha: float
) -> tuple[Array, float, float, float]:
    """As `reference.soft_round_backward`."""
    dx: Array = memory.empty(x.shape)
    sharpness = np.log(2 / alpha - 1)
    options = (
        np.float32(lower),
        np.float32((upper - lower) / cells),
        np.float32(cells),
        np.float32(sharpness),
        np.float32(1 / (1 - alpha)),
        np.float32(-2 / (alpha * (2 - alpha))),
    )
    sums = _sums(x.size, 3)
    _soft_backward(flat(dy), flat(x), dx.reshape(-1), sums, options)
    dlower, dupper, dalpha = _totals(sums)
    return dx, dlower, dupper, dalpha * (upper - lower) / cells / 2


def nested_round(x: Array, lower: float, upper: float, gates: Array) -> Array:
    """As `reference.nested_round`."""
    y: Array = memory.empty(x.shape)
    steps, products, ends = _nesting(lower, upper, gates)
    scratch = np.empty((-(-x.size // _CHUNK), _STRIP), np.float32)
    _nested(flat(x), y.reshape(-1), scratch, steps, products, ends)
    return y


def nested_round_backward(
    dy: Array, x: Array, lower: float, upper: float, gates: Array
) -> tuple[Array, Array, float]:
    """As `reference.nested_round_backward`."""
    dx: Array = memory.empty(x.shape)
    steps, products, ends = _nesting(lower, upper, gates)
    # Rows: a sum for each width, the slope's sum, and two for scratch.
    sums = _sums(x.size, len(steps) + 3)
    _nested_backward(flat(dy), flat(x), dx.reshape(-1), sums, steps, products, ends)
    totals = _totals(sums[:, : len(steps) + 1])
    return dx, np.array(totals[1:-1]), totals[-1]


def _nesting(lower: float, upper: float, gates: Array) -> tuple[Array, Array, tuple[np.float32, ...]]:
    """Steps of all widths, products of the gates up to each, and the ends as they clip and as they are."""
    steps = [(upper - lower) / 3]
    for k in range(1, len(gates) + 1):
        steps.append(steps[-1] / (2 ** (2**k) + 1))
    products = np.concatenate([[1.0], np.cumprod(gates)]).astype(np.float32)
    ends = (np.float32(lower * NESTED_INSIDE), np.float32(upper * NESTED_INSIDE), np.float32(upper))
    return np.array(steps, np.float32), products, ends


def _sums(size: int, count: int) -> Array:
    """Room for `count` sums of every chunk, (chunks, count, _STRIP) zeros."""
    return np.zeros((-(-size // _CHUNK), count, _STRIP), np.float32)


def _totals(sums: Array) -> list[float]:
    totals: list[float] = sums.sum(axis=(0, 2), dtype=np.float64).tolist()
    return totals


@loop_kernel
def _round(x, y, options):
    for_each((x.size + _CHUNK - 1) // _CHUNK, _WORK * x.size, _round_chunk, (x, y, options))


@loop_kernel
def _round_backward(dy, x, dx, sums, options):
    for_each(len(sums), _WORK * x.size, _round_chunk_backward, (dy, x, dx, sums, options))


@loop_kernel
def _soft_backward(dy, x, dx, sums, options):
    for_each(len(sums), 4 * _WORK * x.size, _soft_chunk_backward, (dy, x, dx, sums, options))


@body
def _round_chunk(index, worker, x, y, options):
    step, offset, low, high = options
    a, out = x[index * _CHUNK : (index + 1) * _CHUNK], y[index * _CHUNK : (index + 1) * _CHUNK]
    for i in range(a.size):
        code = np.rint((a[i] - offset) / step)
        code = low if code < low else code
        code = high if code > high else code
        out[i] = code * step + offset


@body
def _round_chunk_backward(index, worker, dy, x, dx, sums, options):
    step, offset, low, high, pull = options
    start, stop = index * _CHUNK, min((index + 1) * _CHUNK, x.size)
    first, second = sums[index, 0], sums[index, 1]
    for lo in range(start, stop, _STRIP):
        hi = min(lo + _STRIP, stop)
        g, a, out = dy[lo:hi], x[lo:hi], dx[lo:hi]
        for i in range(g.size):
            v = (a[i] - offset) / step
            code = np.rint(v)
            code = low if code < low else code
            code = high if code > high else code
            d = g[i] + pull * abs(g[i]) * (v - code)
            d = d if v > low else ZERO
            d = d if v < high else ZERO
            out[i] = d
            first[i] += g[i] * code - (d * v if d != ZERO else ZERO)
            second[i] += g[i] - d


@body
def _soft_chunk_backward(index, worker, dy, x, dx, sums, options):
    lower, step, cells, sharpness, gain, change = options
    start, stop = index * _CHUNK, min((index + 1) * _CHUNK, x.size)
    first, second, third = sums[index, 0], sums[index, 1], sums[index, 2]
    for lo in range(start, stop, _STRIP):
        hi = min(lo + _STRIP, stop)
        g, a, out = dy[lo:hi], x[lo:hi], dx[lo:hi]
        for i in range(g.size):
            v = (a[i] - lower) / step
            t = ZERO if v < ZERO else v
            t = cells if t > cells else t
            cell = np.floor(t)
            cell = cells - _ONE if cell > cells - _ONE else cell
            r = t - cell - _HALF
            e = _exp(-_TWO * sharpness * abs(r))
            tanh = (_ONE - e) / (_ONE + e)
            tanh = -tanh if r < ZERO else tanh
            flatness = _ONE - tanh * tanh
            slope = _HALF * gain * sharpness * flatness
            slope = slope if v > ZERO else ZERO
            slope = slope if v < cells else ZERO
            share = (cell + _HALF * (gain * tanh + _ONE)) / cells
            place = t / cells
            out[i] = g[i] * slope
            first[i] += g[i] * (_ONE - share - slope * (_ONE - place))
            second[i] += g[i] * (share - slope * place)
            third[i] += g[i] * (gain * gain * tanh + gain * flatness * r * change)


@loop_kernel
def _nested(x, y, scratch, steps, products, ends):
    for_each(len(scratch), _WORK * len(steps) * x.size, _nested_chunk, (x, y, scratch, steps, products, ends))


@loop_kernel
def _nested_backward(dy, x, dx, sums, steps, products, ends):
    arguments = (dy, x, dx, sums, steps, products, ends)
    for_each(len(sums), _WORK * len(steps) * x.size, _nested_chunk_backward, arguments)


@body
def _nested_chunk(index, worker, x, y, scratch, steps, products, ends):
    low, high, _ = ends
    start, stop = index * _CHUNK, min((index + 1) * _CHUNK, x.size)
    total = scratch[index]
    for lo in range(start, stop, _STRIP):
        hi = min(lo + _STRIP, stop)
        a, out = x[lo:hi], y[lo:hi]
        for i in range(a.size):
            total[i] = ZERO
            out[i] = ZERO
        for k in range(len(steps)):
            step, product = steps[k], products[k]
            for i in range(a.size):
                v = low if a[i] < low else a[i]
                v = high if v > high else v
                term = np.rint((v - total[i]) / step) * step
                total[i] += term
                out[i] += product * term


@body
def _nested_chunk_backward(index, worker, dy, x, dx, sums, steps, products, ends):
    low, high, reach = ends
    start, stop = index * _CHUNK, min((index + 1) * _CHUNK, x.size)
    slopes, total, value = sums[index, len(steps)], sums[index, len(steps) + 1], sums[index, len(steps) + 2]
    for lo in range(start, stop, _STRIP):
        hi = min(lo + _STRIP, stop)
        g, a, out = dy[lo:hi], x[lo:hi], dx[lo:hi]
        for i in range(g.size):
            total[i] = ZERO
            value[i] = ZERO
        for k in range(len(steps)):
            step, product, found = steps[k], products[k], sums[index, k]
            for i in range(g.size):
                v = low if a[i] < low else a[i]
                v = high if v > high else v
                term = np.rint((v - total[i]) / step) * step
                total[i] += term
                value[i] += product * term
                found[i] += g[i] * term
        for i in range(g.size):
            v = low if a[i] < low else a[i]
            v = high if v > high else v
            side = ZERO if v == ZERO else (_ONE if v > ZERO else -_ONE)
            outside = a[i] != v
            slopes[i] += g[i] * ((value[i] - v) / reach + (side if outside else ZERO))
            out[i] = ZERO if outside else g[i]


@inner
def _exp(x):
    """e^x for −16 ≤ x ≤ 0 to seven digits: ten terms of (e^(x/16)), squared four times.

    Arithmetic alone, so that it becomes vector instructions, which a call of the C library does not.
    """
    y = x * np.float32(1 / 16)
    p = _ONE + y * np.float32(1 / 9)
    p = _ONE + y * np.float32(1 / 8) * p
    p = _ONE + y * np.float32(1 / 7) * p
    p = _ONE + y * np.float32(1 / 6) * p
    p = _ONE + y * np.float32(1 / 5) * p
    p = _ONE + y * np.float32(1 / 4) * p
    p = _ONE + y * np.float32(1 / 3) * p
    p = _ONE + y * np.float32(1 / 2) * p
    p = _ONE + y * p
    p = p * p
    p = p * p
    p = p * p
    return p * p
