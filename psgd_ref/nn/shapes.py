"""Refusals of arrays that do not fit: each says what was given and what is accepted."""

from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array, whole_number

Pair = tuple[int, int]


def pair(name: str, value: Any, low: int) -> Pair:
    """A (height, width) pair of whole numbers ≥ low from one int or two; else ValueError."""
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be a whole number or a pair of them; got {value!r}")
    return (whole_number(name, values[0], low), whole_number(name, values[1], low))


def floats(name: str, array: Any, axes: str) -> Array:
    """`array` when it is a floating array with the named axes, such as "NHWC"; else ValueError."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        given = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{name} must be a floating-point array; got {given}")
    if array.ndim != len(axes):
        raise ValueError(f"{name} must have the axes {axes}; got shape {array.shape}")
    return array


def channels(name: str, array: Array, count: int) -> None:
    """Raise ValueError unless the last axis of `array` has `count` entries."""
    if array.shape[-1] != count:
        raise ValueError(f"{name} must have {count} channels (its last axis); got shape {array.shape}")


def window_output(x: Array, size: Pair, stride: Pair, padding: Pair) -> Pair:
    """Output height and width of a sliding window; ValueError when the window does not fit once."""
    padded = (x.shape[1] + 2 * padding[0], x.shape[2] + 2 * padding[1])
    if padded[0] < size[0] or padded[1] < size[1]:
        raise ValueError(f"a window of {size} does not fit an image of {padded} (padding included)")
    return ((padded[0] - size[0]) // stride[0] + 1, (padded[1] - size[1]) // stride[1] + 1)


def pool_padding(size: Pair, padding: Pair) -> None:
    """Raise ValueError when a pooling window could lie in the padding alone."""
    if 2 * padding[0] > size[0] or 2 * padding[1] > size[1]:
        raise ValueError(f"padding must be at most half the window {size}; got {padding}")


def label_array(labels: Any, count: int, classes: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Labels as (count,) integers in 0 … classes − 1; else ValueError."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {count} whole numbers; got shape {labels.shape}, dtype {labels.dtype}"
        )
    numbers = np.asarray(labels, np.intp)
    # Without its sign a negative number is larger than any class.
    if count and np.maximum.reduce(numbers.view(np.uintp)) >= classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}; got {labels.min()}..{labels.max()}")
    return numbers
