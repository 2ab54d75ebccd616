"""How the weights lie between their targets, and how many have changed target."""

from dataclasses import dataclass

import numpy as np

from psgd_ref.compress import Grid
from psgd_ref.compress.selection import assign
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model


@dataclass(frozen=True)
class Positions:
    """Where the quantized parameters lie between the levels of their grids.

    Attributes
    ----------
    distance
        Mean of d/Δ, Δ the mean gap between targets; on a uniform grid 0 … 0.5 inside the range, and
        0.25 when weights are uniform in their cells.
    moved
        Fraction of the weights whose nearest target has a different index from that of `start`.
    """

    distance: float
    moved: float


def positions(model: Model, start: Array, grid: Grid) -> Positions:
    """Measure model.w against the targets that `grid` fits to it, and against weights `start` (n,).

    Each set of weights is indexed on the targets fitted to it.
    """
    count, distance, moved = 0, 0.0, 0
    for segment, rule in assign(model, grid):
        now, before = segment.view(model.w), segment.view(start)
        targets = rule.fit(now)
        gap = targets.mean_gap()
        distance += float((np.abs(now - targets.nearest(now)) / gap).sum(dtype=np.float64))
        moved += int((targets.position(now) != rule.fit(before).position(before)).sum())
        count += now.size
    return Positions(distance / max(count, 1), moved / max(count, 1))
