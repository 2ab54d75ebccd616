"""A labelled data set in three parts, and random batches of one of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, whole_number

Augmentation = Callable[[npt.NDArray[np.uint8], np.random.Generator], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Split:
    """Images (N, H, W, C) uint8 and labels (N,) whole numbers."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test images with the numbers that normalise them.

    mean, deviation : per channel (C,), of the training images, in units of the stored pixels
    Choices are made on `validation` alone; `test` is looked at once, at the end.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> digits = pr.load("digits")
    >>> isinstance(digits, pr.Dataset)
    True
    >>> digits.normalise(digits.test.images[:5]).shape
    (5, 8, 8, 1)
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    mean: Array
    deviation: Array

    def normalise(self, images: npt.NDArray[np.uint8]) -> Array:
        """(pixels − mean)/deviation as float32; images (N, H, W, C), shape kept."""
        _, height, width, channels = images.shape
        # A whole image as one row: with rows of C numbers only, broadcasting takes ten times as long.
        mean, deviation = (np.tile(each, height * width) for each in (self.mean, self.deviation))
        pixels = images.reshape(-1, height * width * channels).astype(np.float32)
        pixels -= mean
        pixels /= deviation
        return pixels.reshape(images.shape)

    def batches(
        self, rng: np.random.Generator, size: int, augment: Augmentation | None = None
    ) -> Iterator[tuple[Array, npt.NDArray[np.intp]]]:
        """One pass over the training images in random order: normalised images and labels.

        size ≥ 1; the last batch may be smaller. `augment` sees the raw pixels of each batch.
        """
        whole_number("batch_size", size, 1)
        order = rng.permutation(len(self.train))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            images = self.train.images[chosen]
            if augment is not None:
                images = augment(images, rng)
            yield self.normalise(images), self.train.labels[chosen]
