"""One-dimensional signals: ten short templates, shifted, stretched, tilted and covered with noise.

In the spirit of MNIST-1D (S. Greydanus and D. Kobak, "Scaling down deep learning", 2020): small, and yet a
perceptron does worse than a network that shares weights over shifts.
"""

import numpy as np

from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.data.split import hold_out

CLASSES, POINTS, LENGTH = 10, 12, 40
# The templates are the same for every seed: they are the classes.
TEMPLATE_SEED = 42


def load_signals(count: int = 4000, seed: int = 0) -> Dataset:
    """Signals (N, 1, 40, 1) of ten classes: `count` to train and validate, a quarter as many to test.

    Parameters
    ----------
    count
        ≥ 20; a tenth of them for validation.
    seed
        Of the signals; the templates are the same for every seed.

    Raises
    ------
    ValueError
        For count < 20.
    """
    whole_number("count", count, 20)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    train, test = _draw(rng, count), _draw(rng, count // 4)
    return hold_out("signals", CLASSES, train, test, count // 10)


def templates() -> Array:
    """The ten curves (10, 12), each of mean 0 and largest magnitude 1."""
    steps = np.random.default_rng(TEMPLATE_SEED).standard_normal((CLASSES, POINTS))
    curves = np.cumsum(steps, axis=1)
    curves -= curves.mean(axis=1, keepdims=True)
    return np.asarray(curves / np.abs(curves).max(axis=1, keepdims=True))


def _draw(rng: np.random.Generator, count: int) -> Split:
    labels = rng.integers(0, CLASSES, count)
    width = rng.uniform(14, 24, count)
    start = rng.uniform(0, LENGTH - width)
    height, tilt = rng.uniform(0.6, 1.4, count), rng.uniform(-0.5, 0.5, count)
    time = np.arange(LENGTH)
    place = (time - start[:, None]) / width[:, None] * (POINTS - 1)
    curves = templates()
    signals = np.stack(
        [
            np.interp(x, np.arange(POINTS), curves[k], left=0, right=0)
            for x, k in zip(place, labels, strict=True)
        ]
    )
    signals *= height[:, None]
    signals += tilt[:, None] * (time / (LENGTH - 1) - 0.5) + 0.1 * rng.standard_normal(signals.shape)
    pixels = np.round(signals * 64 + 128).clip(0, 255).astype(np.uint8)
    return Split(pixels.reshape(count, 1, LENGTH, 1), labels.astype(np.intp))
