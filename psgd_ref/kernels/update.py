"""The optimiser step in one call: the Δ of the grids, then momentum, decay and move.

    u = μ v + s(w) g + κ w + ρ (w − w̄),   v ← u,   w ← w − η u
    s = λ(d + ε),   d = |w − w̄|,   w̄ = Δ·clip(rint(w/Δ), ±levels)

Δ must be known before the first weight moves, so w is read twice: a look at all weights, from which each Δ
follows, then the step. The second reading finds them in the cache. That spares remembering a Δ that whoever
writes to w between two steps would make wrong.

Threads take blocks of one part. Where every channel has a Δ of its own, what differs from channel to channel
is first repeated in a table as long as a strip of whole rows, so that the loop over the strip has no
remainders.

Largest magnitudes are compared by their bits: without its sign bit a float is ordered as a whole number is,
±inf above all numbers and NaN above that.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.compile import body, inner, loop_kernel, reordering
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.parts import REFITS, SMALLEST_STEP, Parts

_STRIP = 512
# Of a thread: two rows for what it looks at, and five for what the formula needs of every channel.
_ROWS = 7
_ROOM: memory.Wanted = ((THREADS, _ROWS, _STRIP), np.float32)
_SMALLEST = np.float32(SMALLEST_STEP)
_ZERO, _ONE, _INFINITY = np.float32(0), np.float32(1), np.float32(np.inf)
_MAGNITUDE = np.int32(0x7FFFFFFF)
_LEARNED, _MIN_MAX = REFITS.index("learned"), REFITS.index("min-max")


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
    """As `reference.psgd_update`."""
    # Parts with one Δ each have kernels that compile faster.
    step = _step_tensors if parts.slots == len(parts.parts) else _step_channels
    rates = (np.float32(lr), np.float32(momentum), np.float32(weight_decay), np.float32(grid_decay))
    room, found = memory.scratch(_ROOM, ((parts.findings, 2), np.float64))
    done: bool = step(w, g, v, steps, found, room, parts.blocks, parts.whole, parts.real, rates)
    return done


@loop_kernel
def _step_tensors(w, g, v, steps, found, room, blocks, parts, options, rates):
    for_each(len(blocks), w.size, _look_at_block, (w, steps, found, room, blocks, parts))
    if not _fit(found, steps, blocks, parts):
        return False
    for_each(len(blocks), w.size, _update_block, (w, g, v, steps, blocks, parts, options, rates))
    return True


@loop_kernel
def _step_channels(w, g, v, steps, found, room, blocks, parts, options, rates):
    for_each(len(blocks), w.size, _look_at_rows, (w, steps, found, room, blocks, parts))
    if not _fit(found, steps, blocks, parts):
        return False
    for_each(len(blocks), w.size, _update_rows, (w, g, v, steps, room, blocks, parts, options, rates))
    return True


@inner
def _fit(found, steps, blocks, parts):
    """The Δ of every slot from what the blocks found, in their order; whether all are finite."""
    finite, begin = True, 0
    for p in range(len(parts)):
        _, channels, slot, levels, refit = parts[p]
        end = begin
        while end < len(blocks) and blocks[end, 2] == p:
            end += 1
        for c in range(channels):
            # max|w| and nothing, or Σ wk and Σ k².
            largest, squares = 0.0, 0.0
            for b in range(begin, end):
                first, second = found[blocks[b, 3] + c, 0], found[blocks[b, 3] + c, 1]
                if refit == _LEARNED and levels > 0:
                    largest, squares = largest + first, squares + second
                elif first > largest or np.isnan(first):
                    largest = first
            if not np.isfinite(largest):
                steps[slot + c], finite = largest, False
            elif levels <= 0:
                steps[slot + c] = _ONE
            elif refit == _LEARNED:
                if squares > 0:
                    steps[slot + c] = max(np.float32(largest / squares), _SMALLEST)
            elif refit == _MIN_MAX:
                step = max(np.float32(largest) / np.float32(levels), _SMALLEST)
                steps[slot + c] = step if largest > 0 else _ONE
        begin = end
    return finite


@inner
def _magnitude(bits):
    # Numba makes 64 bits of the result, of which only half as many fit in a register.
    return np.int32(bits & _MAGNITUDE)


@inner
def _code(x, inverse, last):
    """clip(rint(x/Δ), ±last)."""
    # Times 1/Δ: a division takes ten times as long, and at a tie both targets are equally far.
    code = np.rint(x * inverse)
    code = last if code > last else code
    return -last if code < -last else code


@reordering
def _sums_of_codes(x, inverse, last):
    """Σ xk and Σ k² for the codes k of x."""
    products, squares = _ZERO, _ZERO
    for i in range(x.size):
        code = _code(x[i], inverse, last)
        products += x[i] * code
        squares += code * code
    return products, squares


@body
def _look_at_block(index, worker, w, steps, found, room, blocks, parts):
    """max|w| of a block, or Σ wk and Σ k²."""
    start, stop, part, finding = blocks[index]
    _, _, slot, levels, refit = parts[part]
    x, peak = w[start:stop], np.int32(0)
    if refit == _LEARNED and levels > 0:
        products, squares = _sums_of_codes(x, _ONE / steps[slot], np.float32(levels))
        found[finding, 0], found[finding, 1] = products, squares
    else:
        if levels >= 0:  # it has targets
            bits = x.view(np.int32)
            for i in range(x.size):
                peak = max(peak, _magnitude(bits[i]))
        room[worker, 0].view(np.int32)[0] = peak
        found[finding, 0] = room[worker, 0, 0]


@inner
def _strip(channels):
    """Length of a piece of a block: whole rows of channels if they fit, else a piece of a row."""
    return channels * (_STRIP // channels) if channels <= _STRIP else _STRIP


@body
def _look_at_rows(index, worker, w, steps, found, room, blocks, parts):
    """The same for every channel of whole rows."""
    start, stop, part, finding = blocks[index]
    _, channels, slot, levels, refit = parts[part]
    learned, last, strip = refit == _LEARNED and levels > 0, np.float32(max(levels, 0)), _strip(channels)
    first, second, inverse = room[worker, 0], room[worker, 1], room[worker, 2]
    found[finding : finding + channels] = 0
    first[:] = _ZERO
    second[:] = _ZERO
    for lo in range(start, stop if levels >= 0 else start, strip):
        piece, channel = w[lo : min(lo + strip, stop)], (lo - start) % channels
        if learned:
            if lo == start or channels > _STRIP:
                for i in range(piece.size):
                    inverse[i] = _ONE / steps[slot + (channel + i) % channels]
            for i in range(piece.size):
                code = _code(piece[i], inverse[i], last)
                first[i] += piece[i] * code
                second[i] += code * code
        else:
            bits, peaks = piece.view(np.int32), first.view(np.int32)
            for i in range(piece.size):
                peaks[i] = max(peaks[i], _magnitude(bits[i]))
        if channels > _STRIP or lo + strip >= stop:
            for i in range(strip):
                place = finding + (channel + i) % channels
                if learned:
                    found[place, 0] += first[i]
                    found[place, 1] += second[i]
                elif first[i] > found[place, 0] or np.isnan(first[i]):
                    found[place, 0] = first[i]
                first[i], second[i] = _ZERO, _ZERO


@inner
def _velocity(x, dx, u, step, inverse, last, slope, offset, reach, rates):
    """μ v + s(w) g + κ w + ρ (w − w̄), with s = slope·min(d, reach) + offset."""
    _, momentum, weight_decay, grid_decay = rates
    off_target = x - _code(x, inverse, last) * step
    d = abs(off_target)
    d = reach if d > reach else d
    # Last, so that the rest rounds as it does without.
    return momentum * u + ((slope * d + offset) * dx + weight_decay * x) + grid_decay * off_target


@inner
def _scale(step, levels, option):
    """What s = λ(d + ε) needs: slope, offset, and beyond which d it stays as it is."""
    strength, eps, cap = option
    factor = 4 / (np.sqrt(step / 2 + eps) + np.sqrt(eps)) ** 2 if strength < 0 else strength
    slope = factor if levels >= 0 else 0.0
    offset = factor * eps if levels >= 0 else 1.0
    reach = step / 2 if cap > 0 and levels > 0 else _INFINITY
    return np.float32(slope), np.float32(offset), np.float32(reach)


@inner
def _own_rates(rates, levels):
    """Those of a part: without targets there is none to be pulled to."""
    lr, momentum, weight_decay, grid_decay = rates
    return lr, momentum, weight_decay, grid_decay if levels >= 0 else _ZERO


@body
def _update_block(index, worker, w, g, v, steps, blocks, parts, options, rates):
    start, stop, part, _ = blocks[index]
    _, _, slot, levels, _ = parts[part]
    own, step, last = _own_rates(rates, levels), steps[slot], np.float32(max(levels, 0))
    inverse = _ONE / step
    slope, offset, reach = _scale(step, levels, options[part])
    x, dx, u = w[start:stop], g[start:stop], v[start:stop]
    for i in range(x.size):
        velocity = _velocity(x[i], dx[i], u[i], step, inverse, last, slope, offset, reach, own)
        u[i] = velocity
        x[i] -= own[0] * velocity


@body
def _update_rows(index, worker, w, g, v, steps, room, blocks, parts, options, rates):
    start, stop, part, _ = blocks[index]
    _, channels, slot, levels, _ = parts[part]
    own, last, strip = _own_rates(rates, levels), np.float32(max(levels, 0)), _strip(channels)
    step, inverse = room[worker, 2], room[worker, 3]
    slope, offset, reach = room[worker, 4], room[worker, 5], room[worker, 6]
    for lo in range(start, stop, strip):
        size, first = min(strip, stop - lo), (lo - start) % channels
        if lo == start or channels > _STRIP:
            count = min(size, channels)
            for i in range(count):
                step[i] = steps[slot + (first + i) % channels]
                inverse[i] = _ONE / step[i]
                slope[i], offset[i], reach[i] = _scale(step[i], levels, options[part])
            for table in range(2, _ROWS):
                row = room[worker, table]
                for i in range(count, size):
                    row[i] = row[i - count]
        x, dx, u = w[lo : lo + size], g[lo : lo + size], v[lo : lo + size]
        for i in range(size):
            velocity = _velocity(
                x[i], dx[i], u[i], step[i], inverse[i], last, slope[i], offset[i], reach[i], own
            )
            u[i] = velocity
            x[i] -= own[0] * velocity
