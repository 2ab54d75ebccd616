"""Quantizers of known behaviour, each written by hand in the form in which somebody would bring it."""

import numpy as np

# The sixteen values of a normal-float codebook, rounded.
NF4 = np.array(
    [
        *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0),
        *(0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
    ]
)


def _levels(bits):
    return 2 ** (bits - 1) - 1


def _step(w, count):
    return w.dtype.type(np.abs(w).max() / count) or w.dtype.type(1)


def half_even(w, bits):
    """The restricted symmetric grid: M/K."""
    step = _step(w, _levels(bits))
    return np.rint(w / step) * step


def half_up(w, bits):
    step = _step(w, _levels(bits))
    return np.clip(np.floor(w / step + 0.5), -_levels(bits), _levels(bits)) * step


def half_away(w, bits):
    step = _step(w, _levels(bits))
    return np.copysign(np.floor(np.abs(w) / step + 0.5), w) * step


def floors(w, bits):
    step = _step(w, _levels(bits))
    return np.floor(w / step) * step


def truncates(w, bits):
    step = _step(w, _levels(bits))
    return np.trunc(w / step) * step


def half_step_more(w, bits):
    """M/(K + ½): −M lies on a tie."""
    step = _step(w, _levels(bits) + 0.5)
    return np.clip(np.rint(w / step), -_levels(bits) - 1, _levels(bits)) * step


def two_complement(w, bits):
    """M/2^(b−1): +M has no code."""
    step = _step(w, _levels(bits) + 1)
    return np.clip(np.rint(w / step), -_levels(bits) - 1, _levels(bits)) * step


def signed_scale(w, bits):
    """The first largest weight becomes −2^(b−1), by a scale that may be negative; ties upwards of w/d."""
    at = np.argmax(np.abs(w))
    d = w.ravel()[at] / -(_levels(bits) + 1) or 1.0
    return np.clip(np.floor(w / d + 0.5), -_levels(bits) - 1, _levels(bits)) * d


def asymmetric(w, bits):
    """(max − min)/(2^b − 1) with zero in the range, and a whole zero point."""
    low, high = min(w.min(), 0), max(w.max(), 0)
    step = (high - low) / (2**bits - 1) or 1.0
    zero_point = np.rint(-low / step)
    return {
        "codes": np.clip(np.rint(w / step) + zero_point, 0, 2**bits - 1).astype(np.uint8),
        "scale": step,
        "zero_point": zero_point,
    }


def float_shift(w, bits):
    """(max − min)/(2^b − 1) from min upwards: zero is no level."""
    step = (w.max() - w.min()) / (2**bits - 1) or 1.0
    return np.rint((w - w.min()) / step) * step + w.min()


def stochastic(w, bits, rng=np.random.default_rng(0)):  # noqa: B008
    step = _step(w, _levels(bits))
    return np.floor(w / step + rng.random(w.shape, w.dtype)) * step


def per_row(w, bits):
    step = np.abs(w).max(axis=1, keepdims=True) / _levels(bits)
    step = np.where(step > 0, step, 1)
    return np.rint(w / step).astype(np.int8), step


def per_axis(w, bits, axis):
    others = tuple(i for i in range(w.ndim) if i != axis)
    step = np.abs(w).max(axis=others, keepdims=True) / _levels(bits)
    step = np.where(step > 0, step, 1)
    return np.rint(w / step) * step


def in_groups(w, bits):
    """M/K in groups of 64, and no other sizes."""
    groups = w.reshape(-1, 64)
    step = np.abs(groups).max(axis=1, keepdims=True) / _levels(bits)
    step = np.where(step > 0, step, 1)
    return (np.rint(groups / step) * step).reshape(w.shape)


def nibbles(w, bits):
    """Two codes in a byte, the first in the low half."""
    if bits != 4:
        raise NotImplementedError("other than 4 bits")
    step = _step(w, 7)
    codes = np.rint(w / step).astype(np.int64).ravel()
    codes = np.pad(codes, (0, codes.size % 2)) & 0xF
    return {"codes": (codes[::2] | codes[1::2] << 4).astype(np.uint8), "scale": step, "packing": "nibbles"}


def bit_planes(w, bits):
    step = _step(w, _levels(bits))
    codes = np.rint(w / step).astype(np.int64)
    planes = np.stack([codes >> i & 1 for i in range(bits)]).astype(np.uint8)
    return {"codes": planes, "scale": step, "packing": "bit_planes"}


def codebook(w, bits):
    largest = np.abs(w).max() or 1.0
    at = np.abs(w[..., None] / largest - NF4).argmin(axis=-1)
    return (NF4[at] * largest).astype(w.dtype)


def mean_based(w, bits):
    """The ternary grid of 1.58-bit networks."""
    step = np.abs(w).mean() or 1.0
    return np.clip(np.rint(w / step), -1, 1) * step


def power_of_two(w, bits):
    largest = np.abs(w).max()
    step = 2.0 ** np.ceil(np.log2(largest)) / 2 ** (bits - 1) if largest else 1.0
    return np.clip(np.rint(w / step), -_levels(bits), _levels(bits)) * step


def overflows(w, bits):
    """The range max − min leaves the numbers of its dtype."""
    step = (w.max() - w.min()) / w.dtype.type(2**bits - 1) or w.dtype.type(1)
    return np.rint(w / step) * step


def on_targets(w, targets):
    return targets.nearest(w)


def with_scale(w, scale, zero_point, num_bits):
    top = 2 ** (num_bits - 1) - 1
    return (np.clip(np.rint(w / scale) + zero_point, -top, top) - zero_point) * scale


def in_place(w, bits):
    w *= 0
    return w


def bare_codes(w, bits):
    return np.rint(w / _step(w, _levels(bits))).astype(np.int8)


def too_few_codes(w, bits):
    return np.zeros(3, np.uint8), 0.1


def halves(w, bits):
    return half_even(w, bits).astype(np.float16)


def asks_for_more(w, bits, calibration):
    return w
