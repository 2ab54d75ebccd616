"""The optimiser step in one pass over memory, w, g and v each read once.

    u = μ v + s(w) g + κ w,   v ← u,   w ← w − η u,   s = λ(d + ε),   d = |w − Δ·clip(rint(w/Δ), ±levels)|

The same pass takes the largest |w| of the new weights, which gives the Δ of the next step: the vector is
not read twice. Threads take blocks of one part. Where every channel has a Δ of its own, what differs from
channel to channel is first repeated in a table as long as a strip of whole rows, so that the loop over the
strip has no remainders.

Largest magnitudes are compared by their bits: without its sign bit a float is ordered as a whole number is,
±inf above all numbers and NaN above that.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.parts import SMALLEST_STEP, Parts

_STRIP = 512
_SMALLEST = np.float32(SMALLEST_STEP)
_ONE, _INFINITY = np.float32(1), np.float32(np.inf)
_MAGNITUDE = np.int32(0x7FFFFFFF)


def min_max_steps(w: Array, parts: Parts) -> Array:
    """As `reference.min_max_steps`."""
    steps, peaks = np.empty(parts.slots, np.float32), np.empty(parts.peaks, np.int32)
    bits = w.view(np.int32)
    if _per_tensor(parts):
        _tensor_peaks(bits, peaks, parts.blocks, parts.whole)
    else:
        _channel_peaks(bits, _found(), peaks, parts.blocks, parts.whole)
    _gather(peaks, steps, parts.blocks, parts.whole)
    return steps


def psgd_update(
    w: Array, g: Array, v: Array, parts: Parts, steps: Array, lr: float, momentum: float, weight_decay: float
) -> Array:
    """As `reference.psgd_update`."""
    following, peaks = np.empty(parts.slots, np.float32), np.empty(parts.peaks, np.int32)
    rates = (np.float32(lr), np.float32(momentum), np.float32(weight_decay))
    steps = np.ascontiguousarray(steps)
    if _per_tensor(parts):
        _update_tensors(w, g, v, steps, peaks, parts.blocks, parts.whole, parts.real, rates)
    else:
        tables = np.empty((THREADS, 5, _STRIP), np.float32)
        _update_channels(
            w, w.view(np.int32), g, v, steps, tables, _found(), peaks, parts.blocks, parts.whole,
            parts.real, rates,
        )  # fmt: skip
    _gather(peaks, following, parts.blocks, parts.whole)
    return following


def _per_tensor(parts: Parts) -> bool:
    """Whether no part has a Δ for each of its channels; that case has kernels that compile faster."""
    return parts.slots == len(parts.parts)


def _found() -> npt.NDArray[np.int32]:
    """Room for the largest magnitudes in the places of a strip."""
    return np.empty((THREADS, _STRIP), np.int32)


@kernel
def _tensor_peaks(bits, peaks, blocks, parts):
    for_each(len(blocks), bits.size, _peak_of_block, (bits, peaks, blocks, parts))


@kernel
def _channel_peaks(bits, found, peaks, blocks, parts):
    for_each(len(blocks), bits.size, _peaks_of_block, (bits, found, peaks, blocks, parts))


@kernel
def _update_tensors(w, g, v, steps, peaks, blocks, parts, options, rates):
    arguments = (w, g, v, steps, peaks, blocks, parts, options, rates)
    for_each(len(blocks), w.size, _update_block, arguments)


@kernel
def _update_channels(w, bits, g, v, steps, tables, found, peaks, blocks, parts, options, rates):
    arguments = (w, bits, g, v, steps, tables, found, peaks, blocks, parts, options, rates)
    for_each(len(blocks), w.size, _update_rows, arguments)


@kernel
def _gather(peaks, steps, blocks, parts):
    """Δ = max|w| / levels from the peaks of the blocks; 1 where it would be 0 or has no meaning."""
    largest = steps.view(np.int32)
    for s in range(len(steps)):
        largest[s] = 0
    for b in range(len(blocks)):
        _, channels, slot, _ = parts[blocks[b, 2]]
        for c in range(channels):
            largest[slot + c] = max(largest[slot + c], peaks[blocks[b, 3] + c])
    for p in range(len(parts)):
        _, channels, slot, levels = parts[p]
        for c in range(slot, slot + channels):
            if not np.isfinite(steps[c]):
                continue
            step = steps[c] / np.float32(max(levels, 1))
            step = _SMALLEST if step < _SMALLEST else step
            steps[c] = step if levels > 0 and steps[c] != 0 else _ONE


@inner
def _magnitude(bits):
    # Numba makes 64 bits of the result, of which only half as many fit in a register.
    return np.int32(bits & _MAGNITUDE)


@body
def _peak_of_block(index, worker, bits, peaks, blocks, parts):
    start, stop, part, first_peak = blocks[index]
    piece, peak = bits[start:stop], np.int32(0)
    if parts[part, 3] >= 0:  # it has targets
        for i in range(piece.size):
            peak = max(peak, _magnitude(piece[i]))
    peaks[first_peak] = peak


@body
def _peaks_of_block(index, worker, bits, found, peaks, blocks, parts):
    start, stop, part, first_peak = blocks[index]
    _, channels, _, levels = parts[part]
    if levels < 0:  # no targets
        for c in range(channels):
            peaks[first_peak + c] = 0
    else:
        _find_peaks(bits[start:stop], found[worker], peaks[first_peak : first_peak + channels])


@inner
def _find_peaks(bits, found, peaks):
    """The largest magnitude of every channel in whole rows of channels."""
    channels = len(peaks)
    for c in range(channels):
        peaks[c] = 0
    strip = _strip(channels)
    for i in range(len(found)):
        found[i] = 0
    for lo in range(0, bits.size, strip):
        piece = bits[lo : min(lo + strip, bits.size)]
        for i in range(piece.size):
            found[i] = max(found[i], _magnitude(piece[i]))
        if channels > _STRIP or lo + strip >= bits.size:
            c = lo % channels
            for i in range(strip):
                peaks[c] = max(peaks[c], found[i])
                found[i] = 0
                c = c + 1 if c + 1 < channels else 0


@inner
def _strip(channels):
    """Length of a piece of a block: whole rows of channels if they fit, else a piece of a row."""
    return channels * (_STRIP // channels) if channels <= _STRIP else _STRIP


@inner
def _velocity(x, dx, u, step, inverse, last, slope, offset, reach, momentum, weight_decay):
    """μ v + s(w) g + κ w, with s = slope·min(d, reach) + offset."""
    # Times 1/Δ: a division takes ten times as long, and at a tie both targets are equally far.
    place = np.rint(x * inverse)
    place = last if place > last else place
    place = -last if place < -last else place
    d = abs(x - place * step)
    d = reach if d > reach else d
    return momentum * u + ((slope * d + offset) * dx + weight_decay * x)


@inner
def _scale(step, levels, option):
    """What s = λ(d + ε) needs: slope, offset, and beyond which d it stays as it is."""
    strength, eps, cap = option
    factor = 4 / (np.sqrt(step / 2 + eps) + np.sqrt(eps)) ** 2 if strength < 0 else strength
    slope = factor if levels >= 0 else 0.0
    offset = factor * eps if levels >= 0 else 1.0
    reach = step / 2 if cap > 0 and levels > 0 else _INFINITY
    return np.float32(slope), np.float32(offset), np.float32(reach)


@body
def _update_block(index, worker, w, g, v, steps, peaks, blocks, parts, options, rates):
    start, stop, part, first_peak = blocks[index]
    _, _, slot, levels = parts[part]
    lr, momentum, weight_decay = rates
    step, last = steps[slot], np.float32(max(levels, 0))
    inverse = _ONE / step
    slope, offset, reach = _scale(step, levels, options[part])
    x, dx, u = w[start:stop], g[start:stop], v[start:stop]
    peak = np.int32(0)
    for i in range(x.size):
        velocity = _velocity(
            x[i], dx[i], u[i], step, inverse, last, slope, offset, reach, momentum, weight_decay
        )
        moved = np.float32(x[i] - lr * velocity)
        u[i], x[i] = velocity, moved
        peak = max(peak, _magnitude(moved.view(np.int32)))
    peaks[first_peak] = peak


@body
def _update_rows(index, worker, w, bits, g, v, steps, tables, found, peaks, blocks, parts, options, rates):
    start, stop, part, first_peak = blocks[index]
    _, channels, slot, levels = parts[part]
    lr, momentum, weight_decay = rates
    last = np.float32(max(levels, 0))
    step, inverse = tables[worker, 0], tables[worker, 1]
    slope, offset, reach = tables[worker, 2], tables[worker, 3], tables[worker, 4]
    strip = _strip(channels)
    for lo in range(start, stop, strip):
        size, first = min(strip, stop - lo), (lo - start) % channels
        if lo == start or channels > _STRIP:
            count = min(size, channels)
            for i in range(count):
                step[i] = steps[slot + (first + i) % channels]
                inverse[i] = _ONE / step[i]
                slope[i], offset[i], reach[i] = _scale(step[i], levels, options[part])
            for table in range(5):
                row = tables[worker, table]
                for i in range(count, size):
                    row[i] = row[i - count]
        x, dx, u = w[lo : lo + size], g[lo : lo + size], v[lo : lo + size]
        for i in range(size):
            velocity = _velocity(
                x[i],
                dx[i],
                u[i],
                step[i],
                inverse[i],
                last,
                slope[i],
                offset[i],
                reach[i],
                momentum,
                weight_decay,
            )
            u[i] = velocity
            x[i] -= lr * velocity
    _find_peaks(bits[start:stop], found[worker], peaks[first_peak : first_peak + channels])
