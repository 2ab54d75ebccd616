"""From all labelled images to a data set in splits: one random split for everybody."""

import numpy as np
import numpy.typing as npt

from psgd_ref.data.arrays import Labels, channel_statistics
from psgd_ref.data.dataset import Dataset, Split

# The seed is part of the data set, not a choice of an experiment.
SPLIT_SEED = 2020


def hold_out(name: str, classes: int, train: Split, test: Split, validation: int) -> Dataset:
    """A data set whose validation images are drawn from the training images, once and for all.

    Parameters
    ----------
    name, classes
        As in `Dataset`.
    train, test
        All images to train on, validation included, and those to test on.
    validation
        How many of the training images become validation images.
    """
    held_out, rest = divide(train, validation)
    mean, std = channel_statistics(rest.images)
    return Dataset(name, classes, rest, held_out, test, mean, std)


def divide(split: Split, count: int) -> tuple[Split, Split]:
    """`count` images drawn at random, always the same ones, and the rest; both in their original order.

    Parameters
    ----------
    split
        The images.
    count
        How many to draw.

    Returns
    -------
    The drawn images, and the rest.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(split))
    return _chosen(split, order[:count]), _chosen(split, order[count:])


def _chosen(split: Split, indices: Labels) -> Split:
    kept = np.sort(indices)
    return Split(split.images[kept], split.labels[kept])


def halved(name: str, data: Dataset, count: int) -> Dataset:
    """The data set at half its height and width: means of 2 × 2 pixels, halves rounded to even.

    Parameters
    ----------
    name
        Of the new data set.
    data
        Height and width of its images must be even.
    count
        How many of the training images to take, the first ones; validation and test images are all taken.
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
