"""The numbers of psgd_ref that the playgrounds' formulas are held to.

`python notebooks/site/generate/points.py` writes points.json; a test fails when psgd_ref gives others.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SITE = Path(__file__).parent.parent
sys.path.insert(0, str(SITE))

from generate import quantizers  # noqa: E402
from psgd_ref.compress import MinMaxGrid  # noqa: E402
from psgd_ref.core import UniformGrid, Warp, psgd_step  # noqa: E402
from psgd_ref.core.clustering import stationary_density, stationary_log_density  # noqa: E402
from psgd_ref.core.dynamics.grid_decay import grid_decay_step  # noqa: E402

FILE = SITE / "points.json"
WEIGHTS = (-1.3, -1.0, -0.83, -0.5, -0.2, 0.0, 0.01, 0.1, 0.25, 1 / 3, 0.49, 0.75, 0.9, 1.0, 1.15, 2.0)
LR, GRADIENT, DECAY, SLOPE, VARIANCE = 0.02, 0.7, 0.3, 0.02, 0.25


def points() -> dict[str, Any]:
    """What the formulas give, by formula."""
    return {
        "constants": {"lr": LR, "gradient": GRADIENT, "decay": DECAY, "slope": SLOPE, "variance": VARIANCE},
        "warps": [_warp(bits, eps) for bits in (2, 3, 4) for eps in (0.0, 0.05, 0.25)],
        "densities": [_density(eps) for eps in (0.02, 0.1)],
        "grids": [_grid(bits) for bits in (2, 3, 4, 8)],
        "quantizers": [_quantizer(*found) for found in quantizers.grids()],
    }


def _warp(bits: int, share: float) -> dict[str, Any]:
    levels = 2 ** (bits - 1) - 1
    grid = UniformGrid(1 / levels, levels)
    eps = share * grid.step
    warp = Warp(grid, eps, "volume", cap=True)
    w = np.array(WEIGHTS)
    g = np.full_like(w, GRADIENT)
    return {
        "step": grid.step,
        "levels": levels,
        "eps": eps,
        "strength": warp.strength,
        "w": w.tolist(),
        "nearest": grid.nearest(w).tolist(),
        "scale": warp.scale(w).tolist(),
        "warp": warp(w).tolist(),
        "psgd": psgd_step(w, g, LR, warp).tolist(),
        "to_grid": grid_decay_step(w, g, LR, warp, DECAY).tolist(),
        "to_zero": (psgd_step(w, g, LR, warp) - LR * DECAY * w).tolist(),
    }


def _density(eps: float) -> dict[str, Any]:
    """In the cell around 0 of a grid of step 1: the density without a slope, and the logarithm with one."""
    offset = np.linspace(-0.5, 0.5, 2001)
    shown = slice(None, None, 50)
    log = stationary_log_density(offset, eps, 1.5, SLOPE, LR, VARIANCE)
    return {
        "eps": eps,
        "strength": 1.5,
        "density": stationary_density(offset, 0.5, eps)[shown].tolist(),
        "log": (log - log[0])[shown].tolist(),
    }


def _grid(bits: int) -> dict[str, Any]:
    w = np.array(WEIGHTS)
    grid = MinMaxGrid(bits).fit(w)
    error = float(np.mean((w - grid.nearest(w)) ** 2) / (grid.step**2 / 12))
    return {"bits": bits, "w": w.tolist(), "step": grid.step, "error": error}


def _quantizer(name: str, bits: int, targets: Any) -> dict[str, Any]:
    w = np.linspace(-1, 1, 41)
    return {"name": name, "bits": bits, "w": w.tolist(), "q": targets.nearest(w).tolist()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(points(), indent=1) + "\n", encoding="utf-8")
