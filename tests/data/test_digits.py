"""The embedded digits: their size, split and normalisation; batches and shifts."""

import numpy as np
import pytest

from psgd_ref.data import Shift, load, load_digits

DATA = load_digits()


def test_the_set_is_complete_and_split_without_overlap():
    parts = [DATA.train, DATA.validation, DATA.test]
    assert [len(part) for part in parts] == [1000, 300, 497]
    for part in parts:
        assert part.images.shape[1:] == (8, 8, 1)
        assert part.images.dtype == np.uint8
        assert part.images.max() == 16
        assert set(part.labels) == set(range(10))
    images = {image.tobytes() for part in parts for image in part.images}
    assert len(images) == 1797


def test_normalised_training_images_have_mean_zero_and_deviation_one():
    x = DATA.normalise(DATA.train.images)
    assert x.dtype == np.float32
    assert x.mean() == pytest.approx(0, abs=1e-5)
    assert x.std() == pytest.approx(1, abs=1e-5)


def test_a_pass_of_batches_sees_every_image_once():
    rng = np.random.default_rng(0)
    batches = list(DATA.batches(rng, 64))
    assert [len(labels) for _, labels in batches] == [64] * 15 + [40]
    seen = np.concatenate([images for images, _ in batches]).sum(axis=(1, 2, 3))
    assert np.allclose(np.sort(seen), np.sort(DATA.normalise(DATA.train.images).sum(axis=(1, 2, 3))))


def test_shift_moves_every_image_whole():
    images = np.zeros((500, 5, 5, 1), np.uint8)
    images[:, 2, 2] = 9
    moved = Shift(2)(images, np.random.default_rng(0))
    assert (moved.sum(axis=(1, 2, 3)) == 9).all()
    places = {tuple(place) for place in np.argwhere(moved[..., 0])[:, 1:]}
    assert places == {(row, column) for row in range(5) for column in range(5)}
    assert np.array_equal(Shift(0)(images, np.random.default_rng(0)), images)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="data set must be one of"):
        load("imagenet")
    with pytest.raises(ValueError, match="batch_size must be a whole number >= 1; got 0"):
        next(DATA.batches(np.random.default_rng(0), 0))
