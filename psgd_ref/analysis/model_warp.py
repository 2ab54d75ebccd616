"""The warp of all parameters of a model, and curvature as it is felt in the warped space."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from psgd_ref.analysis.eigenvalues import Product
from psgd_ref.compress import Grid
from psgd_ref.compress.grids.base import pieces
from psgd_ref.compress.selection import assign
from psgd_ref.core import Warp
from psgd_ref.core.arguments import Array, real_array
from psgd_ref.core.curvature import inverse_curvature
from psgd_ref.nn import Model


class ModelWarp:
    """F on the flat vector: to every tensor (or channel) the warp of its own targets.

    All methods take and return arrays of shape (n,). Parameters without targets (batch norm) are left as they
    are, with s = 1.

    Parameters
    ----------
    model
        The network whose present weights the targets are fitted to, once.
    grid
        The rule that fits the targets.
    eps, strength, cap
        As in `Warp`.

    Source
    ------
    Claims A1 and F1.
    """

    def __init__(
        self, model: Model, grid: Grid, eps: float = 0.0, strength: float | str = "volume", cap: bool = False
    ) -> None:
        self._rules = [(segment, rule.per_channel) for segment, rule in assign(model, grid)]
        self._fits = [
            Warp(rule.fit(part), eps, strength, cap)
            for segment, rule in assign(model, grid)
            for part in pieces(segment.view(model.w), rule.per_channel)
        ]

    def __call__(self, w: Array) -> Array:
        """y = F(w)."""
        return self._each(w, lambda warp, part: warp(part), w)

    def inverse(self, y: Array) -> Array:
        """w = F⁻¹(y)."""
        return self._each(y, lambda warp, part: warp.inverse(part), y)

    def scale(self, w: Array) -> Array:
        """s(w)."""
        return self._each(w, lambda warp, part: warp.scale(part), np.ones_like(w))

    def bend(self, w: Array) -> Array:
        """(f⁻¹)″ at F(w)."""
        return self._each(w, lambda warp, part: inverse_curvature(part, warp), np.zeros_like(w))

    def targets(self, w: Array) -> Array:
        """w̄, the nearest targets; parameters without targets as they are."""
        return self._each(w, lambda warp, part: warp.targets.nearest(part), w)

    def hessian_product(self, product: Product, w: Array, gradient: Array | None = None) -> Product:
        """v ↦ H_Y v, the Hessian in the warped space, from v ↦ H v.

        H_Y = S^½ H S^½ + diag((f⁻¹)″ ⊙ g)

        Parameters
        ----------
        product
            v ↦ H v, such as `Hessian(...).product`.
        w
            The weights, shape (n,).
        gradient
            g at w. Without it the second term, which vanishes at critical points, is left out.
        """
        root = np.sqrt(self.scale(np.asarray(w, np.float64)))
        rest = 0.0 if gradient is None else self.bend(np.asarray(w, np.float64)) * gradient
        return lambda v: np.asarray(root * np.asarray(product(root * v), np.float64) + rest * v)

    def _each(self, flat: npt.ArrayLike, rule: Callable[[Warp, Array], Array], without: Array) -> Array:
        flat, out = real_array("w", flat), np.array(without)
        for (warp, part), (_, into) in zip(self._parts(flat), self._parts(out), strict=True):
            into[...] = rule(warp, part)
        return out

    def _parts(self, flat: Array) -> Iterator[tuple[Warp, Array]]:
        views = (part for segment, each in self._rules for part in pieces(segment.view(flat), each))
        return zip(self._fits, views, strict=True)
