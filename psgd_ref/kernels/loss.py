"""Cross-entropy of a softmax and its gradient; float32, classes next to each other.

One thread goes over all rows, a few passes for each step of the formula: a batch has few numbers here, and
the dozen array operations of the oracle cost more than their arithmetic.

The exponential and the logarithm are quotients of polynomials on a short interval. The coefficients are
those of NumPy's float32 functions: with NumPy 2.4 and a CPU that multiplies and adds in one rounding the bits
are the oracle's too. So are those of the sums, which are pairwise.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.blocks import ZERO, flat
from psgd_ref.kernels.borders import copy
from psgd_ref.kernels.compile import inner, loop_kernel, strict
from psgd_ref.kernels.reference import Indices

_ONE, _HALF_ROOT = np.float32(1), np.float32(0.5**0.5)
# Below it the exponential is less than half the smallest float32.
_LEAST = np.float32(-104)
_LOG2_E, _LOG_2 = np.float32(1 / np.log(2)), np.float32(np.log(2))
# log 2 in two parts: products of the first with whole numbers are exact.
_LOG_2_HIGH, _LOG_2_LOW = np.float32(6.93145752e-1), np.float32(1.42860677e-6)


def _floats(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(number) for number in numbers)


# Coefficients of the polynomials above and below the line, the highest power first.
_EXP_ABOVE = _floats(5.08276253e-4, 6.757897e-3, 5.11451208e-2, 2.473615435e-1, 7.257664613e-1, 1)
_EXP_BELOW = _floats(2.159509376e-2, -2.742335390e-1, 1)
_LOG_ABOVE = _floats(2.589979118e-2, 3.808837741e-1, 1.480000634, 2.112677543, 1)
_LOG_BELOW = _floats(5.875095403e-3, 1.546476375e-1, 9.864942959e-1, 2.453006072, 2.612677543, 1)
# Numbers that are added up without splitting them in halves, and sums that run side by side there.
_SPLIT, _SIDE = 128, 8


def cross_entropy(logits: Array, labels: Indices, label_smoothing: float) -> tuple[float, Array]:
    """As `reference.cross_entropy`."""
    classes = logits.shape[1]
    gradient, work = np.empty(logits.shape, np.float32), np.empty(logits.size + _SIDE, np.float32)
    targets = np.float32(label_smoothing / classes), np.float32(1 - label_smoothing)
    loss = _cross_entropy(flat(logits), np.ascontiguousarray(labels), gradient.reshape(-1), work, targets)
    return loss, gradient


@loop_kernel
def _cross_entropy(logits, labels, gradient, work, targets):
    rows, (elsewhere, more) = len(labels), targets
    classes = logits.size // rows
    log_p, side = work[: logits.size], work[logits.size :]
    for n in range(rows):
        _shift(logits[n * classes : (n + 1) * classes], log_p[n * classes : (n + 1) * classes])
    _exponentials(log_p, gradient)
    for n in range(rows):
        log_total = _log(_sum(gradient[n * classes : (n + 1) * classes], side))
        row = log_p[n * classes : (n + 1) * classes]
        for k in range(classes):
            row[k] -= log_total
    # From here on: the gradient, and in place of log p the terms of the loss.
    count = np.float32(rows)
    _exponentials(log_p, gradient)
    for n in range(rows):
        for i in range(n * classes, (n + 1) * classes):
            target = elsewhere + more if i == n * classes + labels[n] else elsewhere
            gradient[i] = (gradient[i] - target) / count
            log_p[i] *= target
    return -_sum(log_p, side) / count


@inner
def _shift(row, shifted):
    """The row minus its largest number; NaN is larger than any."""
    largest = row[0]
    for value in row:
        largest = value if value > largest or np.isnan(value) else largest
    for k in range(len(row)):
        shifted[k] = row[k] - largest


@strict
def _sum(a, side):
    """Pairwise: halves by themselves, and of up to 128 numbers every eighth by itself, in `side`."""
    size = len(a)
    if size > _SPLIT:
        half = size // 2 - size // 2 % _SIDE
        return _sum(a[:half], side) + _sum(a[half:], side)
    total, whole = ZERO, size - size % _SIDE
    if whole > 0:
        copy(a[:_SIDE], side)
        for start in range(_SIDE, whole, _SIDE):
            more = a[start : start + _SIDE]
            for i in range(_SIDE):
                side[i] += more[i]
        first, second = (side[0] + side[1]) + (side[2] + side[3]), (side[4] + side[5]) + (side[6] + side[7])
        total = first + second
    for value in a[whole:]:
        total += value
    return total


@loop_kernel
def _exponentials(x, y):
    for i in range(len(x)):
        y[i] = _exp(x[i])


@inner
def _exp(x):
    """e^x for x ≤ 0: 2^k · e^r with the k that makes |r| ≤ log 2 / 2."""
    nearest = np.rint(x * _LOG2_E)
    r = x - nearest * _LOG_2_HIGH
    r = r - nearest * _LOG_2_LOW
    # In two factors, each a normal number, also where the result is not. Nothing else becomes a whole number.
    k = np.int32(nearest if x >= _LEAST else ZERO)
    value = _polynomial(_EXP_ABOVE, r) / _polynomial(_EXP_BELOW, r)
    value = value * _power_of_2(k >> 1) * _power_of_2(k - (k >> 1))
    return ZERO if x < _LEAST else value


@inner
def _log(x):
    """log x for finite x ≥ 1: k log 2 + log m with m in (√½, √2]; NaN for NaN."""
    bits = np.float32(x).view(np.int32)
    k = np.float32((bits >> 23) - 126)
    m = np.int32((bits & 0x7FFFFF) | 0x3F000000).view(np.float32)
    k, m = (k - _ONE, m + m) if m <= _HALF_ROOT else (k, m)
    r = m - _ONE
    log_m = _polynomial(_LOG_ABOVE, r) * r / _polynomial(_LOG_BELOW, r)
    return x if np.isnan(x) else k * _LOG_2 + log_m


@inner
def _polynomial(coefficients, x):
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


@inner
def _power_of_2(k):
    """2^k for −126 ≤ k ≤ 127."""
    return np.int32((k + 127) << 23).view(np.float32)
