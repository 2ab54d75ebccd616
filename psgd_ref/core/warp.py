"""The warp f with f′ = s^(−1/2): scaled gradient descent in w is, to first order, plain descent in f(w)."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, flag, offers, real_array, real_number
from psgd_ref.core.scale import cell_length, distance, outer_reach, volume_strength
from psgd_ref.core.targets import Targets, target_set


def check_warp(value: Any) -> None:
    """Raise ValueError unless `value` does what a warp does."""
    offers("warp", value, ("scale", "inverse", "reach"), "a warp, such as Warp(UniformGrid(0.1, 7))")


class Warp:
    """The increasing bijection of R that belongs to the scale s = λ(d + ε), applied to every coordinate.

    f(w) = (2σ/√λ)(√(d+ε) − √ε) + c(w̄),   σ = sign(w − w̄),   d = |w − w̄|

    where c, the image of the nearest target w̄, makes f continuous: between targets a gap Δ apart it
    grows by ℓ(Δ) of `cell_length`, and it is 0 at the target nearest to zero.

    Arrays have any shape; float dtypes are kept.

    Parameters
    ----------
    targets
        Any target set (`Zero`, `UniformGrid`, `FiniteTargets`).
    eps
        ε ≥ 0, in the unit of the weights; at ε = 0 f has a vertical tangent at every target.
    strength
        λ > 0, or "volume" for λ* (claim C3); kept as the number `strength`.
    cap
        Hold s at λ(Δ/2 + ε) from Δ/2 beyond the outermost targets on, where f is then linear (claim A5).

    Raises
    ------
    ValueError
        For ε < 0, λ ≤ 0, or a cap or "volume" with a single target.

    Source
    ------
    The paper, Eq. (5) and (6); claims A1–A3.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> warp = Warp(UniformGrid(1.0), strength="volume")
    >>> warp([0.0, 0.125, 0.5, 1.0])
    array([0.  , 0.25, 0.5 , 1.  ])
    >>> warp.inverse([0.25]), warp.scale([0.125])
    (array([0.125]), array([1.]))
    """

    def __init__(
        self, targets: Targets, eps: float = 0.0, strength: float | str = 1.0, cap: bool = False
    ) -> None:
        self.targets = target_set(targets)
        self.eps = real_number("eps", eps)
        if isinstance(strength, str):
            choice("strength of a warp", strength, ("volume",))
            strength = volume_strength(targets, self.eps)
        self.strength = real_number("strength", strength, positive=True)
        self.cap = flag("cap", cap)
        if self.cap and not np.isfinite(targets.mean_gap()):
            raise ValueError("cap needs at least two targets: a single one has no gap to cap at")
        self.images = targets.respaced(lambda gap: cell_length(gap, self.eps, self.strength))

    def __repr__(self) -> str:
        return f"Warp({self.targets!r}, eps={self.eps}, strength={self.strength}, cap={self.cap})"

    def __call__(self, w: npt.ArrayLike) -> Array:
        """y = f(w)."""
        w = real_array("w", w)
        position = self.targets.position(w)
        offset = w - self.targets.value(position)
        length = self._length(np.abs(offset), self.reach(position, offset))
        return self.images.value(position) + np.copysign(length, offset)

    def inverse(self, y: npt.ArrayLike) -> Array:
        """w = f⁻¹(y) = w̄ + sign(u)[(√λ|u|/2 + √ε)² − ε], u = y − c(w̄)."""
        y = real_array("y", y)
        position = self.images.position(y)
        u = y - self.images.value(position)
        d = self._distance(np.abs(u), self.reach(position, u))
        return self.targets.value(position) + np.copysign(d, u)

    def derivative(self, w: npt.ArrayLike) -> Array:
        """f′(w) = s(w)^(−1/2); infinite at targets when ε = 0 (claim A2)."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.sqrt(self.scale(w)))

    def scale(self, w: npt.ArrayLike) -> Array:
        """s(w) = λ(d + ε): the factor of each weight's gradient (the paper, Eq. (6))."""
        d = distance(real_array("w", w), self.targets, self.cap)
        return self.strength * (d + self.eps)

    def reach(self, position: Array, offset: Array) -> Array:
        """Distance from its target up to which a weight's scale grows: infinite without a cap.

        Parameters
        ----------
        position, offset
            The nearest target's position, and w − w̄; arrays of one shape.
        """
        if self.cap:
            return outer_reach(self.targets, position, offset)
        return np.full_like(offset, np.inf)

    def _length(self, d: Array, reach: Array) -> Array:
        """Warped distance from a target to a point a distance d from it; linear beyond `reach`."""
        near = np.minimum(d, reach)
        slope = np.sqrt(self.strength * (near + self.eps))
        beyond = np.divide(d - near, slope, out=np.zeros_like(d), where=d > near)
        return cell_length(2 * near, self.eps, self.strength) / 2 + beyond

    def _distance(self, length: Array, reach: Array) -> Array:
        """The inverse of `_length`: distance from the target at a given warped distance."""
        near = np.minimum(length, self._warped_reach(reach))
        root = math.sqrt(self.strength) / 2 * near
        d = root * (root + 2 * math.sqrt(self.eps))
        return d + (length - near) * np.sqrt(self.strength * (d + self.eps))

    def _warped_reach(self, reach: Array) -> Array:
        finite = np.isfinite(reach)
        length = cell_length(2 * np.where(finite, reach, 0), self.eps, self.strength) / 2
        return np.where(finite, length, np.inf)
