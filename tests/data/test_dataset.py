"""Data sets check themselves when made, and take a person's arrays."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.data import RECIPES, Dataset, Shift, Split, load_digits

IMAGES, LABELS = np.arange(10 * 6 * 5, dtype=np.uint8).reshape(10, 6, 5, 1), np.arange(10) % 3
ONES = np.ones(1, np.float32)


def test_a_split_of_grey_images_gets_a_channel_axis():
    split = Split(IMAGES[..., 0], LABELS.astype(np.uint8))
    assert np.array_equal(split.images, IMAGES)
    assert split.labels.dtype == np.intp
    assert repr(split) == "Split(10 images 6×5×1)"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:9], "10 images and 9 labels"),
        (IMAGES, LABELS.astype(float), "whole numbers"),
        (IMAGES, LABELS[:, None], "whole numbers"),
        (IMAGES, LABELS - 1, "count from 0"),
        (IMAGES.astype(np.float32), LABELS, "must be uint8"),
        (IMAGES.tolist(), LABELS, "must be uint8"),
        (IMAGES[0, :, :, 0], LABELS[:6], "axes"),
        (np.zeros((10, 0, 5, 1), np.uint8), LABELS, "axes"),
    ],
)
def test_splits_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        Split(images, labels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": np.zeros(3, np.float32)}, "mean must be 1 finite floats"),
        ({"std": ONES * 0}, "std must be > 0"),
        ({"std": ONES * np.nan}, "std must be 1 finite floats"),
        ({"classes": 2}, "0..1; train has 2"),
        ({"classes": 2.0}, "classes must be a whole number"),
        ({"test": Split(IMAGES[:, :5], LABELS)}, "one size; train has 6×5×1, test 5×5×1"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(changed, message):
    whole = Split(IMAGES, LABELS)
    parts = {"name": "x", "classes": 3, "train": whole, "validation": whole, "test": whole}
    parts |= {"mean": ONES, "std": ONES}
    Dataset(**parts)
    with pytest.raises(ValueError, match=message):
        Dataset(**(parts | changed))


def test_from_arrays_holds_out_the_same_images_every_time_and_each_once():
    images = np.arange(100, dtype=np.uint8).repeat(16).reshape(100, 4, 4)
    one, other = (Dataset.from_arrays(images, np.arange(100) % 4, validation=0.2, test=10) for _ in range(2))
    assert [len(split) for split in (one.train, one.validation, one.test)] == [72, 18, 10]
    parts = [split.images[:, 0, 0, 0] for split in (one.train, one.validation, one.test)]
    assert sorted(np.concatenate(parts)) == list(range(100))
    assert all((split.labels == split.images[:, 0, 0, 0] % 4).all() for split in (one.train, one.test))
    assert np.array_equal(one.train.images, other.train.images)
    assert one.mean == pytest.approx(one.train.images.mean())


def test_from_arrays_says_what_it_made_of_floats_and_of_channels_first():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 8, 9, 3)).astype(np.uint8)
    expected = Dataset.from_arrays(pixels, np.arange(20) % 2)
    with pytest.warns(UserWarning, match="0…1 are stored as pixels 0…255"):
        floats = Dataset.from_arrays(pixels / np.float32(255), np.arange(20) % 2)
    with pytest.warns(UserWarning, match=r"taken as \(N, C, H, W\)"):
        first = Dataset.from_arrays(pixels.transpose(0, 3, 1, 2), np.arange(20) % 2)
    wide = Dataset.from_arrays(pixels.astype(np.int64), np.arange(20) % 2)
    for got in (floats, first, wide):
        assert np.array_equal(got.train.images, expected.train.images)
        assert np.array_equal(got.test.images, expected.test.images)


def test_from_arrays_takes_parts_of_ones_own_and_an_augmentation():
    data = Dataset.from_arrays(
        IMAGES,
        LABELS,
        validation=(IMAGES[:3, ..., 0], LABELS[:3]),
        test=(IMAGES[:4], LABELS[:4]),
        augment="shift",
    )
    assert [len(split) for split in (data.train, data.validation, data.test)] == [10, 3, 4]
    assert data.augment == RECIPES["shift"] == Shift(1)

    def batch(augment=None):
        return next(data.batches(np.random.default_rng(0), 10, augment))[0]

    assert np.array_equal(batch(), batch(Shift(1)))
    assert not np.array_equal(batch(), batch(Shift(2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES, LABELS[:4]), "one label for each"),
        ((IMAGES - 1.5, LABELS), "0…1 or whole numbers in 0…255"),
        ((IMAGES * np.nan, LABELS), "0…1 or whole numbers"),
        ((IMAGES.astype(int) + 256, LABELS), "0…1 or whole numbers"),
        ((IMAGES.astype(str), LABELS), "must be numbers"),
        ((IMAGES.reshape(10, 30), LABELS), "axes"),
    ],
)
def test_from_arrays_refuses_others(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(*arguments)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["validation", "test"]),
    st.one_of(
        st.integers(-3, 30), st.floats(), st.none(), st.text(), st.just((IMAGES,)), st.just(True), st.just([])
    ),
)
def test_parts_are_held_out_or_refused(part, wanted):
    with contextlib.suppress(ValueError):
        data = Dataset.from_arrays(IMAGES, LABELS, **{part: wanted})
        assert len(data.train) > 0
        assert len(data.train) + len(data.validation) + len(data.test) == 10


def test_the_representation_of_the_digits():
    digits = load_digits()
    assert repr(digits) == "Dataset('digits': 10 classes, 8×8×1 images, 1000 train, 300 validation, 497 test)"


def test_images_as_trained_are_changed_and_then_normalised():
    data = load_digits()
    shift = Shift(1)
    want = data.normalise(shift(data.train.images[:7], np.random.default_rng(3)))
    assert np.array_equal(data.as_trained(7, shift, seed=3), want)
    assert np.array_equal(data.as_trained(7), data.normalise(data.train.images[:7]))
    assert len(data.as_trained()) == len(data.train)
    own = replace(data, augment=shift)
    assert np.array_equal(own.as_trained(7, seed=3), want)


def test_images_of_other_channels_are_not_normalised():
    with pytest.raises(ValueError, match=r"must have 1 channels; got shape \(2, 8, 8, 3\)"):
        load_digits().normalise(np.zeros((2, 8, 8, 3), np.uint8))
