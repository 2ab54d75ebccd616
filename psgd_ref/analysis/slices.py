"""Lines and planes in the space of weights, and how to choose them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.analysis.model_warp import ModelWarp
from psgd_ref.core.arguments import Array, real_array, whole_number
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


@dataclass(frozen=True)
class Slice:
    """The points origin + Σ aᵢ axesᵢ, or with a warp F⁻¹(F(origin) + Σ aᵢ axesᵢ): straight in y = F(w).

    Parameters
    ----------
    origin
        Weights, (n,).
    axes
        (k, n), in the unit of w, or of y with a warp.
    warp
        F, or None.
    """

    origin: Array
    axes: Array
    warp: ModelWarp | None = None

    def point(self, coordinates: npt.ArrayLike) -> Array:
        """The weights at coordinates a, shape (k,).

        Raises
        ------
        ValueError
            For coordinates of another shape.
        """
        a = real_array("coordinates", coordinates)
        if a.shape != self.axes.shape[:1]:
            raise ValueError(f"coordinates must have the shape {self.axes.shape[:1]}; got {a.shape}")
        if self.warp is None:
            return np.asarray(self.origin + a @ self.axes)
        return self.warp.inverse(self.warp(self.origin) + a @ self.axes)

    def coordinates(self, w: npt.ArrayLike) -> Array:
        """The a of the slice's point nearest to w (in y with a warp), shape (k,)."""
        place = self.origin if self.warp is None else self.warp(self.origin)
        given = real_array("w", w) if self.warp is None else self.warp(real_array("w", w))
        return np.asarray(np.linalg.lstsq(self.axes.T, given - place, rcond=None)[0])


def straight(start: npt.ArrayLike, end: npt.ArrayLike, warp: ModelWarp | None = None) -> Slice:
    """The line from `start` (coordinate 0) to `end` (coordinate 1), straight in w, or in y with a warp."""
    a, b = real_array("start", start).astype(np.float64), real_array("end", end).astype(np.float64)
    return Slice(a, (b - a if warp is None else warp(b) - warp(a))[None], warp)


def filter_normalised(model: Model, rng: np.random.Generator, count: int = 2) -> Slice:
    """Random directions at model.w, every filter of them as long as the model's own.

    d ~ N(0, 1), then per output channel d ← d ‖w‖ / ‖d‖; biases and batch norms have d = 0

    A filter is what makes one output channel (the last axis of a weight). Coordinate 1 then changes every
    filter by its own length.

    Parameters
    ----------
    model
        The network; model.w becomes the origin.
    rng
        The source of the random numbers.
    count
        How many directions, ≥ 1.

    Source
    ------
    Li et al. 2018, and their code's "biasbn".
    """
    check_model(model)
    axes = np.zeros((whole_number("count", count, 1), model.w.size))
    for axis in axes:
        for segment in model.segments:
            if segment.role != "weight":
                continue
            w = segment.view(model.w).astype(np.float64).reshape(-1, segment.shape[-1])
            d = rng.standard_normal(w.shape)
            d *= np.linalg.norm(w, axis=0) / (np.linalg.norm(d, axis=0) + 1e-10)
            segment.view(axis)[...] = d.reshape(segment.shape)
    return Slice(model.w.astype(np.float64), axes)


def fitted_plane(points: Sequence[npt.ArrayLike]) -> Slice:
    """The plane with the least squared distance from the given points; through them when there are three.

    Parameters
    ----------
    points
        At least three, each of shape (n,).

    Returns
    -------
    The origin is the first point's place in the plane, the axes are orthonormal: coordinates are distances in
    w, the first along the direction in which the points differ most.

    Raises
    ------
    ValueError
        For fewer than three points.
    """
    places = np.array([real_array("point", point) for point in points], np.float64)
    if len(places) < 3:
        raise ValueError(f"a plane needs at least three points; got {len(places)}")
    centre = places.mean(axis=0)
    axes = np.linalg.svd(places - centre, full_matrices=False)[2][:2]
    return Slice(centre + (places[0] - centre) @ axes.T @ axes, axes)
