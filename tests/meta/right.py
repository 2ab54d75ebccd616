"""The four methods of claim H2 in a few lines each, right and wrong, to test the law that waits for them."""

import numpy as np
from scipy.special import lambertw


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
