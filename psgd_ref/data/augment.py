"""Random changes of training images that keep their labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.data.dataset import Augmentation

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shift:
    """Move every image by up to `pixels` along each axis: a random crop of the padded image.

    Takes and returns (N, H, W, C); each image draws its own shift, uniform in −pixels … pixels.

    Parameters
    ----------
    pixels
        The largest shift.
    reflect
        Whether the border is filled with the mirrored image, as in the official code; otherwise with zeros.
    """

    pixels: int = 1
    reflect: bool = False

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        count, height, width, channels = images.shape
        p = self.pixels
        if self.reflect:
            padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)), "reflect")
        else:  # what np.pad does, in a fifth of its time
            padded = np.zeros((count, height + 2 * p, width + 2 * p, channels), images.dtype)
            padded[:, p : p + height, p : p + width] = images
        moves = 2 * p + 1
        top, left = rng.integers(0, moves, (2, count))
        # A view of every crop there is; each image takes one, so only whole rows of pixels are copied.
        image, row, column, channel = padded.strides
        crops = np.lib.stride_tricks.as_strided(
            padded,
            (count, moves, moves, height, width, channels),
            (image, row, column, row, column, channel),
            writeable=False,
        )
        moved: Images = crops[np.arange(count), top, left]
        return moved


@dataclass(frozen=True)
class Flip:
    """Mirror every image left to right with probability one half; takes and returns (N, H, W, C)."""

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        chosen = rng.random(len(images)) < 0.5
        flipped = images.copy()
        flipped[chosen] = images[chosen, :, ::-1]
        return flipped


@dataclass(frozen=True)
class Chain:
    """Several changes, applied in order.

    Parameters
    ----------
    parts
        The changes, in order.
    """

    parts: tuple[Augmentation, ...]

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        for part in self.parts:
            images = part(images, rng)
        return images


def as_record(augment: Augmentation) -> dict[str, Any]:
    """One of the changes of this file as plain values, for a file; ValueError for another."""
    match augment:
        case Shift(pixels, reflect):
            return {"kind": "Shift", "pixels": pixels, "reflect": reflect}
        case Flip():
            return {"kind": "Flip"}
        case Chain(parts):
            return {"kind": "Chain", "parts": [as_record(part) for part in parts]}
    raise ValueError(f"a file can hold Shift, Flip and Chain of these; got {augment!r}")


def from_record(record: Any) -> Augmentation:
    """The change that `as_record` wrote; ValueError for other values."""
    match record:
        case {"kind": "Shift", "pixels": int(pixels), "reflect": bool(reflect)} if pixels >= 0:
            return Shift(pixels, reflect)
        case {"kind": "Flip"}:
            return Flip()
        case {"kind": "Chain", "parts": list(parts)}:
            return Chain(tuple(from_record(part) for part in parts))
    raise ValueError(f"no change of images is written as {record!r}")


# By the names of the command line. "crop" is the usual recipe for CIFAR, "crop-small" that for images of half
# its size, "crop-reflect" the official code's.
RECIPES: dict[str, Augmentation | None] = {
    "none": None,
    "shift": Shift(1),
    "crop": Chain((Shift(4), Flip())),
    "crop-small": Chain((Shift(2), Flip())),
    "crop-reflect": Chain((Shift(4, reflect=True), Flip())),
}
