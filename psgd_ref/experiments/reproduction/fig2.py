"""Fig. 2, the toy: what the warp does to a loss, and what does and does not change the outcome."""

from typing import Any

import numpy as np

from psgd_ref.analysis import toy
from psgd_ref.core import UniformGrid, Warp
from psgd_ref.core.arguments import Array

GAP, EPS = 2.0, 0.02
# A finer grid for sticking, with several targets on the way.
FINE_GAP, RATE, STEPS = 0.3, 0.02, 6000
# Wells are as wide as their part below this loss.
LEVEL = 0.05
NOISE, NOISY_RATE, NOISY_STEPS, RUNS = 2.0, 0.05, 2000, 2000
SIDE, PLANE_RATE, PLANE_STEPS = 41, 0.04, 1500
SHOWN = (241, 440, 645, 895, 1180, 1487)


def run(seed: int = 0) -> dict[str, Any]:
    """The numbers of all panels.

    Parameters
    ----------
    seed : int
        Of the noise.
    """
    grid = UniformGrid(GAP)
    soft = Warp(grid, EPS, "volume")
    return {
        "gap": GAP,
        "eps": EPS,
        "strength": soft.strength,
        "minima": {"A": toy.A, "B": toy.B},
        "loss": _loss(soft),
        "ends": _ends(),
        "noise": _noise(soft, np.random.default_rng(seed)),
        "plane": _plane(soft),
    }


def _loss(warp: Warp) -> dict[str, Any]:
    """The loss over both rulers, evenly spaced ticks of w and their images, and how wide the wells are."""
    w = np.linspace(-0.45, 1.5, 400)
    ticks = np.linspace(-0.45, 1.5, 40)
    wells: dict[str, Any] = {}
    for name, place in (("A", toy.A), ("B", toy.B)):
        near = np.linspace(place - 0.4, place + 0.4, 8001)
        low = near[toy.double_well(near) < LEVEL]
        ends = np.array([low.min(), low.max()])
        wells[name] = {"w": ends.tolist(), "y": warp(ends).tolist()}
    return {
        "w": w.tolist(),
        "loss": toy.double_well(w).tolist(),
        "y": warp(w).tolist(),
        "ticks": {"w": ticks.tolist(), "y": warp(ticks).tolist()},
        "level": LEVEL,
        "wells": wells,
        "target": {"w": 0.0, "y": float(warp(0.0))},
        "wall": {"w": GAP / 2, "y": float(warp(GAP / 2))},
    }


def _ends() -> dict[str, Any]:
    """Where each start ends without noise."""
    starts = np.linspace(-0.4, 1.5, 191)
    grid = UniformGrid(FINE_GAP)
    ways: dict[str, Warp | None] = {
        "gradient descent": None,
        "PSGD": Warp(grid, EPS, "volume"),
        "PSGD, ε = 0": Warp(grid, 0.0, "volume"),
    }
    ends = {
        name: toy.descend(starts, toy.double_well_slope, warp, RATE, STEPS)[-1].tolist()
        for name, warp in ways.items()
    }
    targets = np.unique(grid.nearest(starts)).tolist()
    return {"gap": FINE_GAP, "starts": starts.tolist(), "ends": ends, "targets": targets}


def _noise(warp: Warp, rng: np.random.Generator) -> dict[str, Any]:
    """Where many noisy runs are in the second half of their way, and how many of them in A's half."""
    start = rng.uniform(-0.4, 1.5, RUNS)
    found: dict[str, Any] = {"runs": RUNS, "noise": NOISE, "rate": NOISY_RATE, "steps": NOISY_STEPS}
    edges = np.linspace(-0.5, 1.6, 85)
    for name, way in (("SGD", None), ("PSGD", warp)):
        path = toy.descend(start, toy.double_well_slope, way, NOISY_RATE, NOISY_STEPS, NOISE, rng)
        late = path[NOISY_STEPS // 2 :: 10]
        density, _ = np.histogram(late, edges, density=True)
        found[name] = {
            "density": density.tolist(),
            "in_A": float((path[-1] < toy.HILL).mean()),
            "through": (path[::20] < toy.HILL).mean(axis=1).tolist(),
        }
    middle = (edges[1:] + edges[:-1]) / 2
    found |= {"edges": edges.tolist(), "predicted": _predicted(middle, warp, edges).tolist()}
    return found


def _predicted(w: Array, warp: Warp, edges: Array) -> Array:
    """Claim E1 with a slope: s⁻² exp(−(2/ηv) ∫ L′/s), with mass 1 between the edges."""
    fine = np.linspace(edges[0], edges[-1], 20001)
    scale = warp.scale(fine)
    push = toy.double_well_slope(fine) / scale
    potential = np.concatenate([[0.0], np.cumsum((push[1:] + push[:-1]) / 2 * np.diff(fine))])
    log_density = -2 * np.log(scale) - 2 / (NOISY_RATE * NOISE**2) * potential
    density = np.exp(log_density - log_density.max())
    return np.asarray(np.interp(w, fine, density / np.trapezoid(density, fine)))


def _plane(warp: Warp) -> dict[str, Any]:
    """Which well each start in the plane leads to, and some of the ways."""
    side = np.linspace(-0.6, 1.6, SIDE)
    starts = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    found: dict[str, Any] = {"side": side.tolist(), "loss": toy.plane(starts).reshape(SIDE, SIDE).tolist()}
    for name, way in (("gradient descent", None), ("PSGD", warp)):
        path = toy.descend(starts, toy.plane_slope, way, PLANE_RATE, PLANE_STEPS)
        to_a, to_b = (np.linalg.norm(path[-1] - place, axis=1) for place in toy.WELLS.values())
        ends_in_a = to_a < to_b
        found[name] = {
            "in_A": ends_in_a.reshape(SIDE, SIDE).tolist(),
            "share": float(ends_in_a.mean()),
            "paths": [path[::15, i].tolist() for i in SHOWN],
        }
        found["minima"] = {
            "A": path[-1][ends_in_a].mean(axis=0).tolist(),
            "B": path[-1][~ends_in_a].mean(axis=0).tolist(),
        }
    return found
