"""Random changes of training images that keep their labels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Shift:
    """Move every image by up to `pixels` along each axis, zeros coming in at the border.

    Takes and gives (N, H, W, C); each image draws its own move, uniform in −pixels … pixels.
    """

    pixels: int = 1

    def __call__(self, images: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        count, height, width, _ = images.shape
        p = self.pixels
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        top, left = rng.integers(0, 2 * p + 1, (2, count))
        rows = top[:, None, None] + np.arange(height)[:, None]
        columns = left[:, None, None] + np.arange(width)
        shifted: npt.NDArray[np.uint8] = padded[np.arange(count)[:, None, None], rows, columns]
        return shifted
