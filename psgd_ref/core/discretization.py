"""How the three steps of `steps` differ: chapter B of the ledger.

All of them are Euler steps of one flow; they agree to first order in the step size.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, real_array, real_number, same_shape
from psgd_ref.core.warp import Warp, check_warp

DISCRETIZATIONS = ("psgd", "warp", "mirror")


def second_order_coefficient(discretisation: str) -> float:
    """The c in w⁺ = w − ηsg + c η² s s′ g² + O(η³).

    Parameters
    ----------
    discretisation
        "psgd" (c = 0), "warp" (1/4) or "mirror" (1/2).

    Raises
    ------
    ValueError
        For another name.

    Source
    ------
    Claim B3; assumes s > 0 smooth between w and w⁺.

    Examples
    --------
    >>> second_order_coefficient("warp")
    0.25
    """
    return {"psgd": 0.0, "warp": 0.25, "mirror": 0.5}[
        choice("discretisation", discretisation, DISCRETIZATIONS)
    ]


def scale_slope(w: npt.ArrayLike, warp: Warp) -> Array:
    """s′(w) = λσ: λ above a target, −λ below it.

    Parameters
    ----------
    w
        Weights, any shape.
    warp
        Targets, ε, λ and cap of s.

    Returns
    -------
    Shape and dtype of w. On a target, where s has a kink, 0; beyond the reach of a cap 0.

    Source
    ------
    The paper, Eq. (6); claims A5, B3.
    """
    check_warp(warp)
    w = real_array("w", w)
    position = warp.targets.position(w)
    offset = w - warp.targets.value(position)
    growing = np.abs(offset) < warp.reach(position, offset)
    return np.asarray(np.where(growing, warp.strength * np.sign(offset), 0.0).astype(w.dtype))


def second_order_term(
    w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp, discretisation: str
) -> Array:
    """c η² s s′ g²: what a step adds, to second order in η, to the PSGD step.

    Parameters
    ----------
    w, g, lr, warp
        As for `psgd_step`.
    discretisation
        As for `second_order_coefficient`.

    Returns
    -------
    Shape and dtype of w.

    Source
    ------
    Claim B3; assumes s > 0 smooth between w and w⁺: no target, cell wall or edge of a cap there.
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    force = real_number("lr", lr) * g
    return second_order_coefficient(discretisation) * force**2 * warp.scale(w) * scale_slope(w, warp)


def warp_remainder(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """The most by which the warped step can differ from the PSGD step, for every η.

    |w⁺_warp − w⁺_PSGD| ≤ η² λ s g² / 4,   because |(f⁻¹)″| ≤ λ/2

    The gap is exactly that, away from the target, when w and w⁺ lie on one side of one target, in its
    cell and within the reach of a cap; a weight that starts on the target counts as on the side to which
    it moves. Beyond the reach of a cap both steps are equal.

    Parameters
    ----------
    w, g, lr, warp
        As for `psgd_step`.

    Returns
    -------
    The bound, shape of w, in its unit.

    Source
    ------
    Claim B2.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid, psgd_step, warped_step
    >>> at = [0.25], [1.0], 0.5, Warp(UniformGrid(1.0), strength=2.0)
    >>> warped_step(*at) - psgd_step(*at), warp_remainder(*at)
    (array([0.0625]), array([0.0625]))
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    force = real_number("lr", lr) * g
    return force**2 * warp.scale(w) * (warp.strength / 4)


def decay_ratio(t: npt.ArrayLike, discretisation: str) -> Array:
    """What one step does to the distance from the target.

    (d⁺+ε)/(d+ε) = 1 − t (psgd), (1 − t/2)|1 − t/2| (warp), e^(−t) (mirror)

    Parameters
    ----------
    t
        t = ηλgσ, any shape.
    discretisation
        As for `second_order_coefficient`.

    Returns
    -------
    Shape of t. At ε = 0 a negative ratio says that the step crosses the target (psgd and warp).

    Source
    ------
    Claim B3; assumes that w is not on its target and that the step stays inside the half cell, at ε = 0
    in that half of the cell in which it ends.
    """
    t = real_array("t", t)
    name = choice("discretisation", discretisation, DISCRETIZATIONS)
    if name == "psgd":
        return 1 - t
    return (1 - t / 2) * np.abs(1 - t / 2) if name == "warp" else np.exp(-t)
