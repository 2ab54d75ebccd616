"""What shapes follow from shapes, and the refusals of arrays that do not fit."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from psgd_ref.core.arguments import Array, whole_number

Pair = tuple[int, int]


def pair(name: str, value: Any, low: int) -> Pair:
    """A (height, width) pair of whole numbers ≥ low from one int or two; else ValueError."""
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be a whole number or a pair of them; got {value!r}")
    return (whole_number(name, values[0], low), whole_number(name, values[1], low))


def floats(name: str, array: Any, axes: str | None = None) -> Array:
    """`array` when it is a floating array with the named axes, such as "NHWC"; else ValueError.

    axes : one letter for each axis, of which only the first may have no entries; None for any shape
    """
    if not isinstance(array, ndarray) or array.dtype.kind != "f":
        given = f"dtype {array.dtype}" if isinstance(array, ndarray) else type(array).__name__
        raise ValueError(f"{name} must be a floating-point array; got {given}")
    if axes is not None:
        if array.ndim != len(axes):
            raise ValueError(f"{name} must have the axes {axes}; got shape {array.shape}")
        if not array.size and 0 in array.shape[1:]:
            raise ValueError(f"{name} must have entries along {', '.join(axes[1:])}; got shape {array.shape}")
    return array


def rows(name: str, array: Any) -> int:
    """Number of channels of a floating array (…, C); ValueError without a channel."""
    floats(name, array)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have the axes (…, C) with C >= 1; got shape {array.shape}")
    return int(array.shape[-1])


def shaped(name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `array` is a floating array of that shape."""
    if type(array) is not ndarray or array.dtype.kind != "f":
        floats(name, array)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}; got {array.shape}")


def some_rows(x: Array) -> None:
    """Raise ValueError for an array (…, C) without rows: it has no mean."""
    if x.size == 0:
        raise ValueError(f"x must have at least one row, or there is no mean; got shape {x.shape}")


def product(x: Array, w: Array) -> None:
    """Raise ValueError unless x w is a product of matrices."""
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"x must have {w.shape[0]} channels (its last axis); got shape {x.shape}")


def channels(name: str, array: Array, count: int) -> None:
    """Raise ValueError unless the last axis of `array` has `count` entries."""
    if array.shape[-1] != count:
        raise ValueError(f"{name} must have {count} channels (its last axis); got shape {array.shape}")


def written(name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless results can be put into `array`: of that shape, in one piece, writable."""
    shaped(name, array, shape)
    if not array.flags.carray:
        raise ValueError(
            f"{name} must be a writable, aligned array in one piece (C order): results are put into it"
        )


def window_output(x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Pair:
    """Output height and width of a sliding window; ValueError when the window does not fit once."""
    padded = (x_shape[1] + 2 * padding[0], x_shape[2] + 2 * padding[1])
    if padded[0] < size[0] or padded[1] < size[1]:
        raise ValueError(f"a window of {size} does not fit an image of {padded} (padding included)")
    return ((padded[0] - size[0]) // stride[0] + 1, (padded[1] - size[1]) // stride[1] + 1)


def pool_padding(size: Pair, padding: Pair) -> None:
    """Raise ValueError when a pooling window could lie in the padding alone."""
    if padding[0] >= size[0] or padding[1] >= size[1]:
        raise ValueError(f"padding must be less than the window {size}; got {padding}")


def label_array(labels: Any, count: int, classes: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Labels as (count,) integers in 0 … classes − 1; else ValueError."""
    try:
        labels = np.asarray(labels)
    except ValueError:  # lists of different lengths
        raise ValueError(f"labels must be {count} whole numbers; got lists of different lengths") from None
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {count} whole numbers; got shape {labels.shape}, dtype {labels.dtype}"
        )
    numbers = np.asarray(labels, np.intp)
    # Without its sign a negative number is larger than any class.
    if count and np.maximum.reduce(numbers.view(np.uintp)) >= classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}; got {labels.min()}..{labels.max()}")
    return numbers


@lru_cache(maxsize=1024)
def convolved(x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair) -> Any:
    """Shape (N, OH, OW, O) of a convolution's result; ValueError for shapes that do not fit."""
    if 0 in x_shape[1:] or 0 in w_shape:
        raise ValueError(f"x and weight must have entries; got shapes {x_shape} and {w_shape}")
    if x_shape[3] != w_shape[2]:
        raise ValueError(f"x must have {w_shape[2]} channels (its last axis); got shape {x_shape}")
    step, border = pair("stride", stride, 1), pair("padding", padding, 0)
    return x_shape[0], *window_output(x_shape, (w_shape[0], w_shape[1]), step, border), w_shape[3]


@lru_cache(maxsize=1024)
def grouped(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair, groups: int
) -> Any:
    """Shape (N, OH, OW, O) of a convolution in groups; ValueError for shapes that do not fit."""
    whole_number("groups", groups, 1)
    if x_shape[3] % groups or w_shape[3] % groups:
        raise ValueError(f"groups must divide the channels; got {groups}, shapes {x_shape} and {w_shape}")
    if x_shape[3] != groups * w_shape[2]:
        raise ValueError(f"x must have {groups * w_shape[2]} channels (its last axis); got shape {x_shape}")
    return convolved((*x_shape[:3], w_shape[2]), w_shape, stride, padding)


@lru_cache(maxsize=1024)
def pooled(x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Any:
    """Shape (N, OH, OW, C) of a pooling's result; ValueError for shapes that do not fit."""
    if len(x_shape) != 4 or 0 in x_shape[1:]:
        raise ValueError(f"images must have the axes NHWC and entries along H, W, C; got shape {x_shape}")
    window, step, border = pair("size", size, 1), pair("stride", stride, 1), pair("padding", padding, 0)
    pool_padding(window, border)
    return x_shape[0], *window_output(x_shape, window, step, border), x_shape[3]
