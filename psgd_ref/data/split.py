"""From a published training and test set to a data set with a validation part."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.data.dataset import Dataset, Split

# One split for everybody: the seed is part of the data set, not a choice of an experiment.
SPLIT_SEED = 2020
CHUNK = 1000


def hold_out(name: str, classes: int, train: Split, test: Split, validation: int) -> Dataset:
    """A data set whose validation images are `validation` of the training images, drawn once for all."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train))
    held, kept = np.sort(order[:validation]), np.sort(order[validation:])
    rest = Split(train.images[kept], train.labels[kept])
    mean, deviation = channel_statistics(rest.images)
    held_out = Split(train.images[held], train.labels[held])
    return Dataset(name, classes, rest, held_out, test, mean, deviation)


def halved(name: str, data: Dataset, count: int) -> Dataset:
    """The data set at half its size: means of 2 × 2 pixels, halves rounded to even, of the first `count`
    training images and of all others. Height and width must be even.
    """
    train, validation, test = (
        Split(_averaged(part.images[:last]), part.labels[:last])
        for part, last in ((data.train, count), (data.validation, None), (data.test, None))
    )
    return Dataset(name, data.classes, train, validation, test, *channel_statistics(train.images))


def _averaged(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    count, height, width, channels = images.shape
    quarters = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    means: npt.NDArray[np.uint8] = np.rint(quarters.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
    return means


def channel_statistics(images: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel (C,) float32, exact sums of whole numbers before rounding.

    In chunks, since an array of 64-bit numbers would take eight times the images' memory.
    """
    total, squares = 0, 0
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].astype(np.int64)
        total, squares = total + part.sum((0, 1, 2)), squares + np.square(part).sum((0, 1, 2))
    count = images.size // images.shape[-1]
    mean = total / count
    deviation = np.sqrt(squares / count - mean**2)
    # A channel that never changes is left at 0, not divided by 0.
    deviation[deviation == 0] = 1
    return mean.astype(np.float32), deviation.astype(np.float32)
