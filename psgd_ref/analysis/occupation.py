"""Where weights lie in the cells of their grid, and how fast gradient noise draws them to the targets."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import Grid
from psgd_ref.compress.selection import assign
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.core.clustering import log_distance_drift
from psgd_ref.nn import Model, Segment
from psgd_ref.nn.model import check_model


@dataclass(frozen=True)
class Occupation:
    """The places of weights in their cells.

    Parameters
    ----------
    offset
        (w − w̄)/Δ of every weight, −½ … ½.
    step
        Δ of every weight's grid, in the unit of the weights.
    indices
        Where these weights stand in the flat vector.
    """

    offset: Array
    step: Array
    indices: npt.NDArray[np.integer]

    def mean_distance(self) -> float:
        """Mean of d/Δ; ¼ for weights spread evenly over their cells."""
        return float(np.abs(self.offset).mean())

    def typical_distance(self, floor: float = 1e-6) -> float:
        """The geometric mean of d/Δ; 1/(2e) = 0.184 for weights spread evenly.

        Parameters
        ----------
        floor
            Distances below it count as `floor`: a weight on its target would make the mean 0.
        """
        return float(np.exp(np.log(np.maximum(np.abs(self.offset), floor)).mean()))

    def histogram(self, bins: int = 40) -> tuple[Array, Array]:
        """Density of d/Δ on [0, ½], and the edges of its bins.

        Returns
        -------
        The density (bins,), which has mass 1 and is 2 for weights spread evenly, and the edges (bins + 1,).
        """
        density, edges = np.histogram(np.abs(self.offset), bins, (0.0, 0.5), density=True)
        return density, edges


def occupation(model: Model, grid: Grid) -> Occupation:
    """Where the weights of the layers with `grid.bits` bits lie on the uniform grids that are fitted to them.

    First and last layer, which have 8 bits below 4, are then left out: their cells are another matter.

    Raises
    ------
    ValueError
        For a grid that is not uniform, or a `model` that is no model.
    """
    check_model(model)
    chosen = [(segment, rule) for segment, rule in assign(model, grid) if rule.bits == grid.bits]
    offsets, steps, indices = zip(
        *(_place(segment, segment.view(model.w), rule) for segment, rule in chosen), strict=True
    )
    return Occupation(np.concatenate(offsets), np.concatenate(steps), np.concatenate(indices))


def noise_drift(variance: Array, strength: Array, lr: float, discretisation: str = "psgd") -> float:
    """The mean change of ln d in one step that gradient noise alone would make, over many weights.

    −(½ − c) η² ⟨λ² v⟩,   c = 0 (psgd), ¼ (warp), ½ (mirror)

    Parameters
    ----------
    variance
        v, the variance of each weight's gradient from step to step, (m,).
    strength
        λ of each weight's grid, (m,).
    lr
        η.
    discretisation
        "psgd", "warp" or "mirror".

    Source
    ------
    Claim E2; supposes a flat loss, ε = 0, small steps and weights far from their cells' walls.
    """
    return log_distance_drift(lr, 1.0, float(np.mean(strength**2 * variance)), discretisation)


def _place(segment: Segment, w: Array, rule: Grid) -> tuple[Array, Array, npt.NDArray[np.integer]]:
    targets = rule.fit(w)
    if not isinstance(targets, UniformGrid):
        raise ValueError(f"occupation needs a rule for uniform grids; got {rule!r}")
    flat = w.astype(np.float64).ravel()
    offset = (flat - targets.nearest(flat)) / targets.step
    step = np.full(flat.size, targets.step)
    return offset, step, np.arange(segment.start, segment.stop)
