"""A labelled data set in three splits, and random batches of one of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, finite_number, whole_number
from psgd_ref.data.arrays import Images, Labels, as_labels, as_pixels, channel_statistics, with_channels

Augmentation = Callable[[Images, np.random.Generator], Images]


@dataclass(frozen=True, repr=False)
class Split:
    """Images and their labels.

    Parameters
    ----------
    images
        (N, H, W, C) uint8; (N, H, W) is given a channel axis.
    labels
        (N,) whole numbers ≥ 0, one for each image.

    Raises
    ------
    ValueError
        For other axes, dtypes or numbers.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        if not isinstance(self.images, np.ndarray) or self.images.dtype != np.uint8:
            given = getattr(self.images, "dtype", type(self.images).__name__)
            raise ValueError(f"images must be uint8 (Dataset.from_arrays takes others); got {given}")
        object.__setattr__(self, "images", with_channels(self.images))
        object.__setattr__(self, "labels", as_labels(self.labels))
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"there must be one label for each image; got {len(self.images)} images and "
                f"{len(self.labels)} labels"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} images {_size(self)})"


@dataclass(frozen=True, repr=False)
class Dataset:
    """Training, validation and test images with the numbers that normalise them.

    Choices are made on `validation` alone; `test` is looked at once, at the end.

    Parameters
    ----------
    name
        For display.
    classes
        ≥ 2; labels are 0 … classes − 1.
    train, validation, test
        Images of one size.
    mean, std
        Per channel (C,), of the training images, in units of the stored pixels; std > 0.
    augment
        Random changes of training images that `batches` makes, or None.

    Raises
    ------
    ValueError
        When the splits do not fit together.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> digits = pr.load("digits")
    >>> digits
    Dataset('digits': 10 classes, 8×8×1 images, 1000 train, 300 validation, 497 test)
    >>> digits.normalise(digits.test.images[:5]).shape
    (5, 8, 8, 1)
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    mean: Array
    std: Array
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        whole_number("classes", self.classes, 2)
        channels = self.train.images.shape[-1]
        for part in ("train", "validation", "test"):
            split = getattr(self, part)
            if _size(split) != _size(self.train):
                raise ValueError(
                    f"images must have one size; train has {_size(self.train)}, {part} {_size(split)}"
                )
            if len(split) and split.labels.max() >= self.classes:
                raise ValueError(f"labels must lie in 0..{self.classes - 1}; {part} has {split.labels.max()}")
        for name in ("mean", "std"):
            numbers = np.asarray(getattr(self, name))
            if numbers.shape != (channels,) or numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
                raise ValueError(
                    f"{name} must be {channels} finite floats, one for each channel; got {numbers}"
                )
        if (np.asarray(self.std) <= 0).any():
            raise ValueError(f"std must be > 0 for each channel; got {self.std}")

    @classmethod
    def from_arrays(
        cls,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        validation: Any = 0.1,
        test: Any = 0.1,
        augment: Augmentation | str | None = None,
        classes: int | None = None,
        name: str = "arrays",
    ) -> Self:
        """A data set from arrays of one's own.

        Parameters
        ----------
        images
            (N, H, W, C) or (N, H, W), pixels 0 … 255 of any dtype, or floats in 0 … 1, stored as pixels;
            (N, C, H, W) with 1 … 4 channels is recognised where the last axis is longer.
        labels
            (N,) whole numbers from 0.
        validation, test
            How many of these images to hold out, a fraction of them in (0, 1), or a pair (images, labels) of
            others; drawn at random, always the same ones.
        augment
            Random changes of training images, or the name of a recipe, as in `RECIPES`.
        classes
            By default the largest label plus one.

        Raises
        ------
        ValueError
            For arrays that are none of these, or when nothing is left to train on.

        Warns
        -----
        UserWarning
            Where the meaning of floats or the order of axes was guessed, saying what was assumed.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> Dataset.from_arrays(rng.integers(0, 256, (100, 8, 8)), np.arange(100) % 3, test=20)
        Dataset('arrays': 3 classes, 8×8×1 images, 72 train, 8 validation, 20 test)
        """
        from psgd_ref.data.augment import RECIPES
        from psgd_ref.data.split import divide

        if isinstance(augment, str):
            augment = RECIPES[choice("augment", augment, tuple(RECIPES))]
        rest, parts = Split(as_pixels(images), as_labels(labels)), {}
        for part, wanted in (("test", test), ("validation", validation)):
            if isinstance(wanted, tuple | list):
                if len(wanted) != 2:
                    raise ValueError(f"{part} must be a pair (images, labels), a number or a fraction")
                parts[part] = Split(as_pixels(wanted[0]), as_labels(wanted[1]))
            else:
                parts[part], rest = divide(rest, _count(part, wanted, len(rest)))
        if classes is None:
            classes = 1 + max(int(split.labels.max(initial=0)) for split in (rest, *parts.values()))
        mean, std = channel_statistics(rest.images)
        return cls(name, classes, rest, parts["validation"], parts["test"], mean, std, augment)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}: {self.classes} classes, {_size(self.train)} images, "
            f"{len(self.train)} train, {len(self.validation)} validation, {len(self.test)} test)"
        )

    def normalise(self, images: Images) -> Array:
        """(pixels − mean)/std as float32.

        Parameters
        ----------
        images
            (N, H, W, C); ValueError for other axes, and for other channels.

        Returns
        -------
        Shape of images.
        """
        if np.ndim(images) != 4:
            raise ValueError(f"images must have the axes NHWC; got shape {np.shape(images)}")
        _, height, width, channels = images.shape
        if channels != len(self.mean):
            raise ValueError(f"images must have {len(self.mean)} channels; got shape {images.shape}")
        # A whole image as one row: with rows of C numbers only, broadcasting takes ten times as long.
        mean, std = (np.tile(each, height * width) for each in (self.mean, self.std))
        pixels = images.reshape(-1, height * width * channels).astype(np.float32)
        pixels -= mean
        pixels /= std
        return pixels.reshape(images.shape)

    def as_trained(
        self, count: int | None = None, augment: Augmentation | None = None, seed: int = 0
    ) -> Array:
        """Training images as training shows them: changed at random, then normalised.

        Parameters
        ----------
        count
            How many, the first ones; by default all.
        augment
            What is done to their raw pixels; by default the data set's own.
        seed
            Of the changes.

        Returns
        -------
        (count, H, W, C) float32.
        """
        images, change = self.train.images[:count], self.augment if augment is None else augment
        if change is not None:
            images = change(images, np.random.default_rng(seed))
        return self.normalise(images)

    def batches(
        self, rng: np.random.Generator, size: int, augment: Augmentation | None = None
    ) -> Iterator[tuple[Array, Labels]]:
        """One epoch of the training images in random order: normalised images and labels.

        Parameters
        ----------
        rng
            Of the order and of the changes.
        size
            ≥ 1; the last batch may be smaller.
        augment
            Sees the raw pixels of each batch; by default the data set's own.
        """
        whole_number("batch_size", size, 1)
        change = self.augment if augment is None else augment
        order = rng.permutation(len(self.train))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            images = self.train.images[chosen]
            if change is not None:
                images = change(images, rng)
            yield self.normalise(images), self.train.labels[chosen]


def check_data(value: Any) -> None:
    """Raise ValueError unless `value` is a data set."""
    if not isinstance(value, Dataset):
        accepted = 'a Dataset, such as psgd_ref.load("digits") or Dataset.from_arrays(images, labels)'
        raise ValueError(f"data must be {accepted}; got {type(value).__name__}")


def _size(split: Split) -> str:
    return "×".join(map(str, split.images.shape[1:]))


def _count(part: str, wanted: Any, available: int) -> int:
    """How many images to hold out; ValueError unless at least one of them and one more are there."""
    number = finite_number(part, wanted, "a number of images, a fraction in (0, 1) or (images, labels)")
    if isinstance(wanted, float | np.floating) and 0 < number < 1:
        number = max(1, round(number * available))
    if not (number == int(number) and 1 <= number < available):
        raise ValueError(
            f"{part} must be at least one image and leave one; got {wanted!r} of {available} images"
        )
    return int(number)
