"""Hessian-vector products of a model's loss: exact, and by finite differences of gradients."""

from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, real_array, real_number
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.linearised import Views
from psgd_ref.nn.model import Model, check_model
from psgd_ref.nn.parameters import named_parameters

METHODS = ("exact", "differences")


class Hessian:
    """The matrix of second derivatives of the mean cross-entropy at model.w, as a linear map.

    H v = ∂/∂t ∇L(w + t v) at t = 0, by forward-over-reverse differentiation

    Works on a copy: the model, its gradient and its running statistics stay as they are. At a kink (ReLU at
    0, a tie in max pooling) the derivatives of one side are taken, those of the backward pass. Runs in the
    model's dtype.

    Parameters
    ----------
    model
        The network and the point w.
    images, labels, label_smoothing
        As in `Model.loss_and_grad`.
    training
        With True batch norms take the statistics of `images`, and dropout drops what the next training step
        will drop (the loss is then that of `loss_and_grad`); with False batch norms take their running ones,
        and nothing is dropped.

    Attributes
    ----------
    loss, gradient
        L and ∇L, shape (n,), at the same point.

    Raises
    ------
    ValueError
        For a layer whose rules are not known, such as one with a quantizer.

    Source
    ------
    Pearlmutter 1994.
    """

    def __init__(
        self, model: Model, images: Array, labels: Any, label_smoothing: float = 0.0, training: bool = True
    ) -> None:
        self.model = model.copy()
        self.net = self.model.net.linearised(training)
        x = self.model._images(images)
        self.still = np.zeros_like(x)
        logits = self.net.forward(x)
        self.loss, dlogits = cross_entropy(logits, labels, label_smoothing)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.p = shifted / shifted.sum(axis=1, keepdims=True)
        self.gradient = np.zeros_like(self.model.w)
        self.net.backward(dlogits, self._views(self.gradient))

    def product(self, vector: npt.ArrayLike) -> Array:
        """H v, in the model's dtype.

        Parameters
        ----------
        vector
            v, shape (n,).

        Raises
        ------
        ValueError
            For another shape.
        """
        v = _direction(vector, self.model)
        change, out = self._views(v), np.zeros_like(v)
        dz = self.net.forward_change(self.still, change)
        # dlogits = (p − q)/N, and p′ = p (z′ − ⟨p, z′⟩).
        ddlogits = self.p * (dz - (self.p * dz).sum(axis=1, keepdims=True)) / len(dz)
        self.net.backward_change(ddlogits.astype(v.dtype), change, self._views(out))
        return out

    def _views(self, flat: Array) -> Views:
        named = zip(self.model.segments, named_parameters(self.model.net), strict=True)
        return {parameter: segment.view(flat) for segment, (_, parameter) in named}


def hessian_vector(
    model: Model,
    images: Array,
    labels: Any,
    vector: npt.ArrayLike,
    label_smoothing: float = 0.0,
    method: str = "exact",
    step: float | None = None,
) -> Array:
    """H v, H the Hessian of the loss of `Model.loss_and_grad` (batch norms in training mode) at model.w.

    Parameters
    ----------
    model
        It stays as it is, with its gradient and its running statistics.
    images, labels, label_smoothing
        As in `Model.loss_and_grad`.
    vector
        v, shape (n,).
    method
        "exact", see `Hessian`; or "differences", (∇L(w + hv) − ∇L(w − hv)) / 2h, for every kind of layer.
    step
        ‖hv‖ of the differences; by default √ε max(1, ‖w‖), ε the rounding unit of the dtype. A longer step
        loses fewer digits, but passes more kinks of the ReLUs, at which the gradient jumps; these jumps count
        in the differences, and not in the exact product.

    Returns
    -------
    Shape (n,), in the model's dtype.

    Raises
    ------
    ValueError
        For a vector of another shape, or layers that "exact" does not know.
    """
    check_model(model)
    if choice("method", method, METHODS) == "exact":
        return Hessian(model, images, labels, label_smoothing).product(vector)
    v = _direction(vector, model)
    length = float(np.linalg.norm(v.astype(np.float64)))
    if length == 0:
        return np.zeros_like(v)
    if step is None:
        size = max(1.0, float(np.linalg.norm(model.w.astype(np.float64))))
        step = float(np.finfo(model.w.dtype).eps) ** 0.5 * size
    h = real_number("step", step, positive=True) / length
    gradients = []
    for sign in (1, -1):
        # A copy for each, so that dropout drops the same in both.
        moved = model.copy()
        moved.w[...] = model.w + sign * h * v
        moved.loss_and_grad(images, labels, label_smoothing)
        gradients.append(moved.g.astype(np.float64))
    return np.asarray((gradients[0] - gradients[1]) / (2 * h)).astype(model.w.dtype)


def _direction(vector: npt.ArrayLike, model: Model) -> Array:
    v = real_array("vector", vector)
    if v.shape != model.w.shape:
        raise ValueError(f"vector must have the shape of w, {model.w.shape}; got {v.shape}")
    return np.ascontiguousarray(v, model.w.dtype)
