"""Rounding to a uniform grid inside a network, and gradients for it; float32.

Sums over all entries are kept in one number for each place of a strip and each chunk, so that the loop
over a strip is made of vector instructions, and added up in float64 at the end.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import for_each

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


def _sums(size: int, count: int) -> Array:
    """Room for `count` sums of every chunk, (chunks, count, _STRIP) zeros."""
    return np.zeros((-(-size // _CHUNK), count, _STRIP), np.float32)


def _totals(sums: Array) -> list[float]:
    totals: list[float] = sums.sum(axis=(0, 2), dtype=np.float64).tolist()
    return totals


@kernel
def _round(x, y, options):
    for_each((x.size + _CHUNK - 1) // _CHUNK, _WORK * x.size, _round_chunk, (x, y, options))


@kernel
def _round_backward(dy, x, dx, sums, options):
    for_each(len(sums), _WORK * x.size, _round_chunk_backward, (dy, x, dx, sums, options))


@kernel
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
