"""From all labelled images to a data set in parts: one random split for everybody."""

import numpy as np
import numpy.typing as npt

from psgd_ref.data.arrays import Labels, channel_statistics
from psgd_ref.data.dataset import Dataset, Split

# The seed is part of the data set, not a choice of an experiment.
SPLIT_SEED = 2020


def hold_out(name: str, classes: int, train: Split, test: Split, validation: int) -> Dataset:
    """A data set whose validation images are `validation` of the training images, drawn once for all."""
    held_out, rest = divide(train, validation)
    mean, std = channel_statistics(rest.images)
    return Dataset(name, classes, rest, held_out, test, mean, std)


def divide(split: Split, count: int) -> tuple[Split, Split]:
    """So many images drawn at random, always the same, and the rest; both in their old order."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(split))
    return _chosen(split, order[:count]), _chosen(split, order[count:])


def _chosen(split: Split, indices: Labels) -> Split:
    kept = np.sort(indices)
    return Split(split.images[kept], split.labels[kept])


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
