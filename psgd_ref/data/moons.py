"""A two-dimensional toy: two interleaving half circles."""

import numpy as np

from psgd_ref.core.arguments import real_number, whole_number
from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.data.split import hold_out


def load_moons(count: int = 2000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points (N, 1, 1, 2) in a square of 256 × 256, two classes: `count` to train and validate, half to test.

    Parameters
    ----------
    count
        ≥ 20; a tenth of them for validation.
    noise
        Standard deviation around the half circles, in units of their radius, ≥ 0.
    seed
        Of the points.

    Raises
    ------
    ValueError
        For count < 20 or a negative noise.
    """
    whole_number("count", count, 20), real_number("noise", noise)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    train, test = _draw(rng, count, noise), _draw(rng, count // 2, noise)
    return hold_out("moons", 2, train, test, count // 10)


def _draw(rng: np.random.Generator, count: int, noise: float) -> Split:
    labels = rng.integers(0, 2, count)
    angle = rng.uniform(0, np.pi, count)
    side = 1 - 2 * labels
    points = np.stack([labels + side * np.cos(angle), labels / 2 + side * np.sin(angle)], axis=1)
    points += noise * rng.standard_normal(points.shape)
    # [−1.5, 2.5] × [−1.75, 2.25] holds all but the most extreme points; those are clipped to its border.
    pixels = np.round((points + np.array([1.5, 1.75])) * (255 / 4)).clip(0, 255).astype(np.uint8)
    return Split(pixels.reshape(count, 1, 1, 2), labels.astype(np.intp))
