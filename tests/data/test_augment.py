"""Flips and padded crops: what they may do, how often, and that a generator decides."""

import numpy as np
import pytest

from psgd_ref.data import RECIPES, Chain, Flip, Shift

IMAGES = np.random.default_rng(0).integers(0, 256, (200, 6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("reflect", [False, True])
def test_a_shift_is_a_crop_of_the_padded_image_and_every_crop_is_as_likely(reflect):
    image = IMAGES[:1]
    border = ((0, 0), (2, 2), (2, 2), (0, 0))
    padded = np.pad(image, border, "reflect") if reflect else np.pad(image, border)
    crops = {padded[0, r : r + 6, c : c + 5].tobytes(): (r, c) for r in range(5) for c in range(5)}
    shifted = Shift(2, reflect)(np.repeat(image, 5000, axis=0), np.random.default_rng(1))
    seen = [crops[crop.tobytes()] for crop in shifted]
    counts = np.array([seen.count(place) for place in crops.values()])
    # 200 expected each; ± 5 standard deviations.
    assert counts.min() > 130
    assert counts.max() < 270


def test_a_flip_mirrors_half_of_the_images():
    flipped = Flip()(IMAGES, np.random.default_rng(0))
    same = (flipped == IMAGES).all((1, 2, 3))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 60 < mirrored.sum() < 140


@pytest.mark.parametrize("recipe", [name for name, change in RECIPES.items() if change])
def test_recipes_repeat_with_the_generator_and_leave_their_input(recipe):
    before = IMAGES.copy()
    one, two, other = (RECIPES[recipe](IMAGES, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert np.array_equal(IMAGES, before)


def test_a_chain_is_one_after_the_other():
    rng = np.random.default_rng(3)
    expected = Flip()(Shift(1)(IMAGES, rng), rng)
    assert np.array_equal(Chain((Shift(1), Flip()))(IMAGES, np.random.default_rng(3)), expected)
