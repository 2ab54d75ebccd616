"""The scale s(w) = λ(d + ε), and the ways to choose its strength λ."""

import math

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, flag, real_array, real_number
from psgd_ref.core.targets import Targets, target_set

STRENGTHS = ("volume", "mean-one", "unimodular", "max-normalised")


def cell_length(gap: Array | float, eps: float, strength: float = 1.0) -> Array:
    """Length in warped space of the stretch between two neighbouring targets.

    ℓ(Δ) = (4/√λ)(√(Δ/2+ε) − √ε)

    Parameters
    ----------
    gap
        Δ ≥ 0, any shape.
    eps, strength
        ε ≥ 0 and λ > 0.

    Returns
    -------
    Shape of gap.

    Source
    ------
    The paper, Eq. (5), by continuity at the cell walls; claim A1.
    """
    half = np.asarray(gap) / 2
    # The difference of roots as a quotient, which loses no digits when Δ is much smaller than ε.
    roots = np.sqrt(half + eps) + math.sqrt(eps)
    quotient = np.divide(half, roots, out=np.zeros_like(half), where=half > 0)
    return quotient * (4 / math.sqrt(strength))


def volume_strength(targets: Targets, eps: float) -> float:
    """The strength λ* at which the warp keeps the volume of every cell of a uniform grid.

    λ* = (ℓ(Δ)/Δ)², ℓ at λ = 1, which tends to 8/Δ as ε → 0

    Parameters
    ----------
    targets
        At least two. On an uneven set the mean of ℓ and the mean gap are taken, so that the whole range,
        not every cell, keeps its length.
    eps
        ε ≥ 0, in the unit of the weights.

    Returns
    -------
    λ*, in units of 1/weight.

    Raises
    ------
    ValueError
        For a single target, which has no cell.

    Source
    ------
    Claim C3.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> round(volume_strength(UniformGrid(step=0.5), eps=0.0), 6)
    16.0
    """
    gap, eps = target_set(targets).mean_gap(), real_number("eps", eps)
    if not np.isfinite(gap):
        raise ValueError("strength 'volume' needs at least two targets; give a number instead")
    length = targets.respaced(lambda gaps: cell_length(gaps, eps)).mean_gap()
    return (length / gap) ** 2


def position_scale(
    w: npt.ArrayLike,
    targets: Targets,
    eps: float = 0.0,
    strength: float | str = 1.0,
    cap: bool = False,
) -> Array:
    """The factor that multiplies each weight's gradient: s(w) = λ(d + ε), d = |w − w̄|.

    Parameters
    ----------
    w
        Weights, any shape.
    targets
        Any target set.
    eps
        ε ≥ 0, in the unit of the weights.
    strength
        λ ≥ 0 itself, or a rule for it:

        "volume"          λ* of `volume_strength` (claim C3)
        "mean-one"        λ = 1 / mean(d + ε) over all of w
        "unimodular"      λ = 1 / geometric mean of d + ε: g ↦ s ⊙ g keeps volume (claim C5)
        "max-normalised"  λ = 1 / max d, the paper's non-separable variant: no warp has it (claim A4)
    cap
        Hold d at half the outermost gap beyond the outermost targets (claim A5).

    Returns
    -------
    s, shape and dtype of w. Where "mean-one" or "max-normalised" has nothing to divide by (every d + ε,
    or every d, is 0), it is 0.

    Raises
    ------
    ValueError
        For a negative or unknown strength, for weights that are not finite, and for "unimodular" when any
        weight lies on its target at ε = 0: then the map has determinant 0 whatever λ is.

    Source
    ------
    The paper, Eq. (6).

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> position_scale([0.25, 1.0, 1.5], UniformGrid(1.0), eps=0.125, strength=2.0)
    array([0.75, 0.25, 1.25])
    """
    w = real_array("w", w)
    eps = real_number("eps", eps)
    d = distance(w, target_set(targets), flag("cap", cap))
    shifted = d + eps
    if not isinstance(strength, str):
        return shifted * real_number("strength", strength)
    rule = choice("strength", strength, STRENGTHS)
    if rule == "volume":
        return shifted * volume_strength(targets, eps)
    if rule == "mean-one":
        divisor = shifted.mean() if w.size else 1.0
    elif rule == "max-normalised":
        divisor = d.max(initial=0.0)
    else:
        if not shifted.all():
            raise ValueError(
                f"strength 'unimodular' needs eps > 0 or every weight off its target; "
                f"{np.sum(shifted == 0)} of {w.size} lie on one, and no strength makes their product 1"
            )
        divisor = np.exp(np.log(shifted).mean()) if w.size else 1.0
    return shifted / divisor if divisor > 0 else np.zeros_like(w)


def distance(w: Array, targets: Targets, cap: bool = False) -> Array:
    """d = |w − w̄|; with `cap`, at most half the neighbouring gap beyond the outermost targets.

    Parameters
    ----------
    w, targets, cap
        As for `position_scale`, `w` an array already.
    """
    position = targets.position(w)
    offset = w - targets.value(position)
    d = np.abs(offset)
    return np.minimum(d, outer_reach(targets, position, offset)) if cap else d


def outer_reach(targets: Targets, position: Array, offset: Array) -> Array:
    """How far from its target the scale may grow when capped.

    Parameters
    ----------
    targets, position, offset
        A target set, the positions of the nearest targets and w − w̄, arrays of one shape.

    Returns
    -------
    Shape and dtype of offset: half the gap on the inner side for a weight beyond the outermost target,
    infinity elsewhere (there the cell wall bounds d by itself).
    """
    side = np.where(offset >= 0, 1.0, -1.0)
    outside = np.isinf(targets.gap(position, side))
    return np.where(outside, targets.gap(position, -side) / 2, np.inf).astype(offset.dtype)
