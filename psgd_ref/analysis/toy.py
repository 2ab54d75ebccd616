"""Losses of one and of two weights on which the warp can be watched: claim D7."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from psgd_ref.core import Warp, psgd_step
from psgd_ref.core.arguments import Array, real_array, real_number, whole_number

# Two wells of equal depth and shape, and the hill between them: A lies near the target 0; with targets 2
# apart B lies half-way between two.
A, HILL, B = 0.05, 0.525, 1.0
HEIGHT = 12.0

# In the plane: a dent near the target (0, 0), and one of the same shape away from every target.
WELLS = {"A": np.array([0.1, 0.05]), "B": np.array([1.0, 0.8])}
WIDTH = 0.45
BOWL, MIDDLE = 0.1, 0.5

Slope = Callable[[Array], Array]


def double_well(w: npt.ArrayLike) -> Array:
    """L(w) = 3 ((w − A)(w − B))²: zero in both wells, 0.153 on the hill. Any shape."""
    w = real_array("w", w)
    return np.asarray(HEIGHT / 4 * ((w - A) * (w - B)) ** 2)


def double_well_slope(w: npt.ArrayLike) -> Array:
    """L′(w) = 12 (w − A)(w − HILL)(w − B), the HILL being half-way."""
    w = real_array("w", w)
    return np.asarray(HEIGHT * (w - A) * (w - HILL) * (w - B))


def plane(w: npt.ArrayLike) -> Array:
    """A shallow bowl with a dent at each of `WELLS`; w (m, 2), returns (m,)."""
    w = real_array("w", w)
    value = BOWL / 2 * np.sum((w - MIDDLE) ** 2, axis=1)
    for place in WELLS.values():
        value = value - np.exp(-np.sum((w - place) ** 2, axis=1) / (2 * WIDTH**2))
    return np.asarray(value)


def plane_slope(w: npt.ArrayLike) -> Array:
    """The gradient of `plane`, shape of w, (m, 2)."""
    w = real_array("w", w)
    slope = BOWL * (w - MIDDLE)
    for place in WELLS.values():
        away = w - place
        depth = np.exp(-np.sum(away**2, axis=1, keepdims=True) / (2 * WIDTH**2))
        slope = slope + depth * away / WIDTH**2
    return np.asarray(slope)


def descend(
    start: npt.ArrayLike,
    slope: Slope,
    warp: Warp | None,
    lr: float,
    steps: int,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Array:
    """The path of SGD, or with a warp of PSGD, from every start.

    w⁺ = w − η s(w) ⊙ (L′(w) + noise·ξ), ξ standard normal; s = 1 without a warp

    Parameters
    ----------
    start
        Independent runs along the first axis.
    slope
        L′.
    warp
        Gives s; None for SGD.
    lr
        η.
    steps
        ≥ 1.
    noise
        ≥ 0.
    rng
        The source of ξ; needed unless noise is 0.

    Returns
    -------
    Shape (steps + 1, *start.shape).

    Raises
    ------
    ValueError
        For noise without an `rng`.
    """
    w = real_array("start", start)
    real_number("noise", noise), whole_number("steps", steps, 1)
    path = [w]
    for _ in range(steps):
        g = slope(w)
        if noise > 0:
            if rng is None:
                raise ValueError("noise needs a random generator; got none")
            g = g + noise * rng.standard_normal(w.shape)
        w = w - lr * g if warp is None else psgd_step(w, g, lr, warp)
        path.append(w)
    return np.array(path)
