"""PyTorch optimizers that scale gradients by weights: pytorch_optimizer, and geoopt's Riemannian descent."""

from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def named(w: Any, g: Any, lr: float, name: str, **options: Any) -> Any:
    """An optimizer of pytorch_optimizer; weights a matrix of one row, since some leave vectors unscaled."""
    import pytorch_optimizer
    import torch

    weights = torch.nn.Parameter(torch.tensor(w).reshape(1, -1))
    return shared.torch_steps(weights, getattr(pytorch_optimizer, name)([weights], lr=lr, **options), g)


def poincare_ball(w: Any, g: Any, lr: float) -> Any:
    """geoopt's `RiemannianSGD`, each weight a point of a `PoincareBall` of its own: the interval (−1, 1)."""
    if np.abs(w).max() >= 1:
        raise NotImplementedError("weights outside (−1, 1)")
    return _riemannian(w.reshape(-1, 1), g, lr, "PoincareBall")


def positive_definite(w: Any, g: Any, lr: float) -> Any:
    """The same on `SymmetricPositiveDefinite`, 1 × 1, for |w|; the sign is kept, 0 is left out."""
    if not w.all():
        raise NotImplementedError("weights at 0")
    sign = np.sign(w)
    return sign * _riemannian(np.abs(w).reshape(-1, 1, 1), sign * g, lr, "SymmetricPositiveDefinite")


def _riemannian(points: Any, g: Any, lr: float, name: str) -> Any:
    import geoopt
    import torch

    weights = geoopt.ManifoldParameter(torch.tensor(points), manifold=getattr(geoopt, name)())
    return shared.torch_steps(weights, geoopt.optim.RiemannianSGD([weights], lr=lr), g)


OPTIMIZERS = {
    "pytorch_optimizer Fromage": (named, {"name": "Fromage"}, "step"),
    "pytorch_optimizer LARS": (named, {"name": "LARS", "momentum": 0.0, "weight_decay": 0.0}, "step"),
    "pytorch_optimizer Lamb": (named, {"name": "Lamb"}, "step"),
    "pytorch_optimizer Nero": (named, {"name": "Nero"}, "step"),
    "geoopt RiemannianSGD, PoincareBall": (poincare_ball, {}, "step"),
    "geoopt RiemannianSGD, SymmetricPositiveDefinite, on magnitudes": (positive_definite, {}, "step"),
}
