"""The optimiser step in one pass over memory, w, g and v each read once.

    u = μ v + s(w) g + κ w,   v ← u,   w ← w − η u,   s = λ(d + ε),   d = |w − Δ·clip(rint(w/Δ), ±levels)|

The same pass takes the largest |w| of the new weights, which gives the Δ of the next step: the vector is
not read twice. Threads take blocks of one part. What differs from channel to channel is repeated first,
as in `norm.py`, so that the one loop has no remainders.

The compiler makes vector instructions of a loop only if it can check, with few comparisons, that its
arrays do not overlap. So everything but w, g and v lives in one array, the table, in rows `_STRIP` apart.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.parts import SMALLEST_STEP, Parts

_STRIP = 512
_SMALLEST = np.float32(SMALLEST_STEP)
_ONE, _INFINITY = np.float32(1), np.float32(np.inf)
_MAGNITUDE = np.int32(0x7FFFFFFF)


def min_max_steps(w: Array, parts: Parts) -> Array:
    """As `reference.min_max_steps`."""
    steps = np.empty(parts.slots, np.float32)
    _steps(w.view(np.int32), np.empty(parts.peaks, np.int32), steps, parts.blocks, parts.whole)
    return steps


def psgd_update(
    w: Array, g: Array, v: Array, parts: Parts, steps: Array, lr: float, momentum: float, decay: float
) -> Array:
    """As `reference.psgd_update`."""
    following = np.empty(parts.slots, np.float32)
    rates = (np.float32(lr), np.float32(momentum), np.float32(decay))
    peaks = np.empty(parts.peaks, np.int32)
    steps = np.ascontiguousarray(steps)
    _update(w, w.view(np.int32), g, v, steps, peaks, following, parts.blocks, parts.whole, parts.real, rates)
    return following


@kernel
def _steps(bits, peaks, steps, blocks, parts):
    for_each(len(blocks), bits.size, _peaks_of_block, (bits, peaks, blocks, parts))
    _gather(peaks, steps, blocks, parts)


@kernel
def _update(w, bits, g, v, steps, peaks, following, blocks, parts, options, rates):
    for_each(
        len(blocks), bits.size, _update_block, (w, bits, g, v, steps, peaks, blocks, parts, options, rates)
    )
    _gather(peaks, following, blocks, parts)


@inner
def _gather(peaks, steps, blocks, parts):
    """Δ = max|w| / levels from the peaks of the blocks; 1 where all weights are 0 or Δ has no meaning."""
    largest = np.zeros(len(steps), np.int32)
    for b in range(len(blocks)):
        _, channels, slot, _ = parts[blocks[b, 2]]
        for c in range(channels):
            largest[slot + c] = max(largest[slot + c], peaks[blocks[b, 3] + c])
    magnitude = largest.view(np.float32)
    for p in range(len(parts)):
        _, channels, slot, levels = parts[p]
        for c in range(slot, slot + channels):
            steps[c] = _ONE
            if levels > 0 and magnitude[c] != 0:
                step = magnitude[c] / np.float32(levels)
                steps[c] = _SMALLEST if step < _SMALLEST else step


@inner
def _raise_peaks(found, bits):
    """found[i] = max(found[i], |w[i]|), by the bits.

    Without its sign bit a float is ordered as a whole number is, ±inf above all numbers and NaN above that.
    """
    for i in range(bits.size):
        magnitude = bits[i] & _MAGNITUDE
        found[i] = max(found[i], magnitude)


@inner
def _fold(found, size, peaks, first_peak, channels, first):
    """Raise the peaks of a block by those of strips that begin at channel `first`, halves on halves."""
    rows = max(1, size // channels)
    while rows > 1:
        kept = (rows + 1) // 2
        upper, lower = found[kept * channels : rows * channels], found[: (rows - kept) * channels]
        for i in range(lower.size):
            lower[i] = max(lower[i], upper[i])
        rows = kept
    for i in range(min(size, channels)):
        c = first_peak + (first + i) % channels
        peaks[c] = max(peaks[c], found[i])


@inner
def _strip(channels):
    """Whole rows of channels if they fit, else a piece of a row."""
    return channels * (_STRIP // channels) if channels <= _STRIP else _STRIP


@body
def _peaks_of_block(index, worker, bits, peaks, blocks, parts):
    start, stop, part, first_peak = blocks[index]
    _, channels, _, levels = parts[part]
    peaks[first_peak : first_peak + channels] = 0
    if levels <= 0:  # Δ has no meaning
        return
    strip, found = _strip(channels), np.zeros(_STRIP, np.int32)
    for lo in range(start, stop, strip):
        _raise_peaks(found, bits[lo : min(lo + strip, stop)])
        if channels > _STRIP or lo + strip >= stop:
            _fold(found, strip, peaks, first_peak, channels, (lo - start) % channels)
            found[:] = 0


@body
def _update_block(index, worker, w, bits, g, v, steps, peaks, blocks, parts, options, rates):
    start, stop, part, first_peak = blocks[index]
    _, channels, slot, levels = parts[part]
    peaks[first_peak : first_peak + channels] = 0
    lr, momentum, decay = rates
    last = np.float32(max(levels, 0))
    table = np.empty(5 * _STRIP, np.float32)
    step, inverse = table[:_STRIP], table[_STRIP : 2 * _STRIP]
    slope, offset = table[2 * _STRIP : 3 * _STRIP], table[3 * _STRIP : 4 * _STRIP]
    reach = table[4 * _STRIP :]
    strip, found = _strip(channels), np.zeros(_STRIP, np.int32)
    for lo in range(start, stop, strip):
        size, first = min(strip, stop - lo), (lo - start) % channels
        if lo == start or channels > _STRIP:
            _fill(
                step, inverse, slope, offset, reach, steps, slot, first, channels, levels, options[part], size
            )
        x, dx, u = w[lo : lo + size], g[lo : lo + size], v[lo : lo + size]
        for i in range(size):
            # Times 1/Δ: a division takes ten times as long, and at a tie both targets are equally far.
            place = np.rint(x[i] * inverse[i])
            place = last if place > last else place
            place = -last if place < -last else place
            d = abs(x[i] - place * step[i])
            d = reach[i] if d > reach[i] else d
            velocity = momentum * u[i] + ((slope[i] * d + offset[i]) * dx[i] + decay * x[i])
            u[i] = velocity
            x[i] -= lr * velocity
        if levels > 0:
            _raise_peaks(found, bits[lo : lo + size])
        if channels > _STRIP or lo + strip >= stop:
            _fold(found, strip, peaks, first_peak, channels, first)
            found[:] = 0


@inner
def _fill(step, inverse, slope, offset, reach, steps, slot, first, channels, levels, option, size):
    """What each weight of a strip needs: Δ, 1/Δ, and s = slope·min(d, reach) + offset."""
    strength, eps, cap = option
    c = first
    for i in range(min(size, channels)):
        delta = steps[slot + c]
        factor = 4 / (np.sqrt(delta / 2 + eps) + np.sqrt(eps)) ** 2 if strength < 0 else strength
        step[i], inverse[i] = delta, _ONE / delta
        slope[i] = factor if levels >= 0 else 0.0
        offset[i] = factor * eps if levels >= 0 else 1.0
        reach[i] = delta / 2 if cap > 0 and levels > 0 else _INFINITY
        c = c + 1 if c + 1 < channels else 0
    for row in (step, inverse, slope, offset, reach):
        filled = channels
        while filled < size:
            more = min(filled, size - filled)
            row[filled : filled + more] = row[:more]
            filled += more
