"""The loss along a line or over a plane of weights."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from psgd_ref.analysis.slices import Slice
from psgd_ref.core.arguments import Array, real_array
from psgd_ref.nn import Model
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.model import check_model


def loss_at(
    model: Model,
    w: npt.ArrayLike,
    images: Array,
    labels: Any,
    label_smoothing: float = 0.0,
    training: bool = True,
) -> float:
    """The mean cross-entropy of the model with the weights w in place of its own; the model stays as it is.

    Parameters
    ----------
    model
        The network.
    w
        Shape (n,).
    images, labels, label_smoothing
        As in `Model.loss_and_grad`.
    training
        With True batch norms take the statistics of `images`, as if re-estimated at w; with False they take
        the model's running ones.

    Raises
    ------
    ValueError
        For a w of another shape than the model's.
    """
    check_model(model)
    return float(_at(model.copy(), real_array("w", w), images, labels, label_smoothing, training))


def losses(
    model: Model,
    where: Slice,
    coordinates: npt.ArrayLike,
    images: Array,
    labels: Any,
    label_smoothing: float = 0.0,
    training: bool = True,
    progress: bool | None = None,
) -> Array:
    """The loss at points of a line or plane.

    The kernels use all cores; for one point per core, give parts of the coordinates to separate processes.

    Parameters
    ----------
    model
        The network; it stays as it is.
    where
        The line or plane.
    coordinates
        (m, k), k the dimension of the slice.
    images, labels, label_smoothing, training
        As in `loss_at`.
    progress
        Show a bar on standard error; by default when that is a terminal.

    Returns
    -------
    float64, shape (m,); infinite at points where the loss is not finite.

    Source
    ------
    Li et al. 2018.
    """
    check_model(model)
    points = np.atleast_2d(real_array("coordinates", coordinates))
    hidden = not (sys.stderr.isatty() if progress is None else progress)
    subject = model.copy()
    bar = tqdm(points, "landscape", unit="point", disable=hidden, leave=False)
    found = [_at(subject, where.point(point), images, labels, label_smoothing, training) for point in bar]
    return np.where(np.isfinite(found), found, np.inf)


def _at(model: Model, w: Array, images: Array, labels: Any, label_smoothing: float, training: bool) -> float:
    if w.shape != model.w.shape:
        raise ValueError(f"w must have the model's shape {model.w.shape}; got {w.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        model.w[...] = w
        return cross_entropy(model.forward(images, training), labels, label_smoothing)[0]
