"""Arrays from the user, converted to the pixels and labels of a data set."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.intp]

# Numbers of channels that images have: grey, with transparency, colour, both.
_CHANNELS = (1, 2, 3, 4)
_CHUNK = 1000


def as_pixels(images: Any) -> Images:
    """Images as (N, H, W, C) uint8, from the usual forms of images.

    Parameters
    ----------
    images
        (N, H, W, C), or (N, H, W), which is given a channel axis; whole numbers in 0 … 255 of any dtype are
        pixels as they are. (N, C, H, W) with 1 … 4 channels, where the last axis is longer, and floats in
        0 … 1 are recognised.

    Raises
    ------
    ValueError
        For anything else.

    Warns
    -----
    UserWarning
        For (N, C, H, W) and for floats, since they are guesses.
    """
    pixels = with_channels(_in_bytes(np.asarray(images)))
    if pixels.shape[1] in _CHANNELS and pixels.shape[3] not in _CHANNELS:
        _say(f"images of shape {pixels.shape} were taken as (N, C, H, W) and are stored as (N, H, W, C)")
        pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    return pixels


def with_channels(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, H, W, C) as it is, (N, H, W) with an axis of one channel.

    Raises
    ------
    ValueError
        For other axes.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(f"images must have the axes (N, H, W, C) or (N, H, W); got shape {images.shape}")
    return images


def as_labels(labels: Any) -> Labels:
    """Labels as (N,) whole numbers ≥ 0.

    Raises
    ------
    ValueError
        For anything else.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"labels must be whole numbers, one for each image; got shape {array.shape}, dtype {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.intp).max):
        raise ValueError(f"labels must count from 0; got {array.min()}..{array.max()}")
    return array.astype(np.intp, copy=False)


def channel_statistics(images: Images) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel, from exact sums of whole numbers.

    They are taken in chunks, since an array of 64-bit numbers would take eight times the images' memory.

    Parameters
    ----------
    images
        (N, H, W, C) uint8.

    Returns
    -------
    Two arrays (C,) float32, in units of the pixels. A constant channel has standard deviation 1.
    """
    total, squares = 0, 0
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK].astype(np.int64)
        total, squares = total + part.sum((0, 1, 2)), squares + np.square(part).sum((0, 1, 2))
    count = images.size // images.shape[-1]
    mean = total / count
    std = np.sqrt(squares / count - mean**2)
    # A constant channel is left at 0, not divided by 0.
    std[std == 0] = 1
    return mean.astype(np.float32), std.astype(np.float32)


def _in_bytes(images: npt.NDArray[Any]) -> Images:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf" or not images.size:
        raise ValueError(f"images must be numbers; got shape {images.shape}, dtype {images.dtype}")
    low, high = images.min(), images.max()
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        _say("images in 0…1 are stored as pixels 0…255, rounded to the nearest")
        return np.asarray(np.rint(images * 255), np.uint8)
    # NaN is not its own floor.
    if not (low >= 0 and high <= 255 and (images == np.floor(images)).all()):
        raise ValueError(
            "images must be floats in 0…1 or whole numbers in 0…255; "
            f"got {images.dtype} in {low:.6g}…{high:.6g}"
        )
    return images.astype(np.uint8)


def _say(what: str) -> None:
    warnings.warn(what, stacklevel=5)
