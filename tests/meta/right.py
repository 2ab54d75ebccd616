"""Right subjects that round otherwise than the library, and the methods of claim H2, right and wrong."""

import math

import numba
import numpy as np
from scipy.special import lambertw

from psgd_ref.core import UniformGrid, Zero

# The scale and the step as others write them: a target k·Δ rounded once more, or once less


def extended_rule(w, targets, eps, strength, cap):
    """In extended precision, rounded once at the end."""
    return (strength * (_extended_distance(w, targets, cap) + eps)).astype(np.float64)


def extended(w, g, lr, targets, eps, strength, cap):
    """In extended precision, rounded once at the end."""
    s = strength * (_extended_distance(w, targets, cap) + eps)
    return (w.astype(np.longdouble) - lr * s * g).astype(np.float64)


def _extended_distance(w, targets, cap):
    x = w.astype(np.longdouble)
    if isinstance(targets, UniformGrid):
        step, reach = np.longdouble(targets.step), targets.levels
        k = np.rint(x / step)
        d = np.abs(x - (k if reach is None else k.clip(-reach, reach)) * step)
        return np.where(np.abs(k) > reach, np.minimum(d, step / 2), d) if cap and reach is not None else d
    points = np.zeros(1) if isinstance(targets, Zero) else targets.values
    d = np.abs(x[..., None] - points).min(axis=-1)
    if cap and len(points) > 1:
        d = np.where(x < points[0], np.minimum(d, (points[1] - points[0]) / 2), d)
        d = np.where(x > points[-1], np.minimum(d, (points[-1] - points[-2]) / 2), d)
    return d


def loop_rule(w, targets, eps, strength, cap):
    """Weight by weight in plain Python."""
    return np.array([strength * (_distance(x, targets, cap) + eps) for x in w.ravel().tolist()]).reshape(
        w.shape
    )


def loop(w, g, lr, targets, eps, strength, cap):
    """Weight by weight in plain Python."""
    pairs = zip(w.ravel().tolist(), g.ravel().tolist(), strict=True)
    moved = [x - lr * (strength * (_distance(x, targets, cap) + eps)) * slope for x, slope in pairs]
    return np.array(moved).reshape(w.shape)


def _distance(x, targets, cap):
    if isinstance(targets, UniformGrid):
        k = round(x / targets.step)  # half to even, as NumPy
        inside = targets.levels is None or abs(k) <= targets.levels
        k = k if inside else math.copysign(targets.levels, k)
        d = abs(math.fsum([x, -k * targets.step]))
        return min(d, targets.step / 2) if cap and not inside else d
    points = [0.0] if isinstance(targets, Zero) else targets.values.tolist()
    d = min(abs(x - point) for point in points)
    if cap and len(points) > 1 and not points[0] <= x <= points[-1]:
        d = min(d, (points[1] - points[0] if x < points[0] else points[-1] - points[-2]) / 2)
    return d


@numba.njit(fastmath={"contract"})
def _fused(base, w, g, rate, eps, step, reach, cap):
    out = np.empty_like(w)
    for i in range(w.size):
        k = np.rint(w[i] / step)
        outside = abs(k) > reach
        if outside:
            k = math.copysign(reach, k)
        d = abs(w[i] - k * step)
        if cap and outside:
            d = min(d, step / 2)
        out[i] = base[i] - rate * (d + eps) * g[i]
    return out


def fused_rule(w, targets, eps, strength, cap):
    """Compiled with products and sums contracted to one rounding."""
    return _fuse(np.zeros_like(w), w, -np.ones_like(w), strength, targets, eps, cap)


def fused(w, g, lr, targets, eps, strength, cap):
    """Compiled with products and sums contracted to one rounding."""
    return _fuse(w, w, g, lr * strength, targets, eps, cap)


def _fuse(base, w, g, rate, targets, eps, cap):
    grid = UniformGrid(1.0, 1) if isinstance(targets, Zero) else targets
    if not isinstance(grid, UniformGrid):
        raise NotImplementedError("uneven targets")
    reach = 0 if grid is not targets else np.inf if grid.levels is None else grid.levels
    out = _fused(base.ravel(), w.ravel(), g.ravel(), rate, eps, grid.step, float(reach), cap and reach > 0)
    return out.reshape(w.shape)


STEPS = (extended, loop, fused)
RULES = (extended_rule, loop_rule, fused_rule)

# Parts of claim H2


def laplace_clip(bits):
    return float(lambertw(3 * 4.0**bits).real)


def nested_rounding(w, low, high, bits):
    step, done, b = (high - low) / 3, np.zeros_like(w), 2
    while True:
        done = done + step * np.rint((w - done) / step)
        if b == bits:
            return done
        step, b = step / (2**b + 1), 2 * b


def adaptive_magnitudes(bits, exponent_bits, top):
    mantissa = bits - 1 - exponent_bits
    exponents = np.arange(top - 2**exponent_bits + 1, top + 1)
    values = 2.0 ** exponents[:, None] * (1 + np.arange(2**mantissa) / 2**mantissa)
    return np.concatenate([[0.0], values.ravel()[1:]])


def step_gradient(w, step, bits):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    v = w / step
    inside = np.rint(v) - v
    return np.where(v <= low, low, np.where(v >= high, high, inside)) / np.sqrt(v.size * high)


PARTS = {
    "laplace_clip": laplace_clip,
    "nested_rounding": nested_rounding,
    "adaptive_magnitudes": adaptive_magnitudes,
    "step_gradient": step_gradient,
}

WRONG_PARTS = {
    "laplace_clip": lambda bits: laplace_clip(bits + 1),
    "nested_rounding": lambda w, low, high, bits: nested_rounding(w, low, high, max(2, bits // 2)),
    "adaptive_magnitudes": lambda n, e, top: adaptive_magnitudes(n, e, top)[1:],
    "step_gradient": lambda w, step, bits: step_gradient(w, step, bits) * np.sqrt(len(w)),
}
