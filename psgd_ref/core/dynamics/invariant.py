"""What PSGD conserves under a batch norm: the loss does not depend on the length of a filter."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, real_array
from psgd_ref.core.targets import FiniteTargets, UniformGrid
from psgd_ref.core.warp import Warp, check_warp


def filter_invariant(w: npt.ArrayLike, warp: Warp) -> Array:
    """V(w) with V′ = w/s(w) for each weight; its sum over a filter is conserved under a batch norm.

    For a loss with L(a·w) = L(w) the gradient is orthogonal to w, Σ w_i g_i = 0, so along the flow
    ẇ = −s ⊙ g the sum Σ V(w_i) does not change. With σ = sign(w − w̄):

    V(w) = V(w̄) + (1/λ)(d + (σw̄ − ε) ln(1 + d/ε)),   V(t′) − V(t) = (1/λ)(t + t′) ln(1 + Δ/2ε)

    for neighbouring targets t < t′ = t + Δ; beyond a cap s is constant. For T = {0} and ε = 0 it is |w|/λ,
    and the sum the L1 norm. Shape of w. Raises ValueError for ε = 0 with a target other than zero, where V is
    infinite.
    Source: claim I1.
    """
    check_warp(warp)
    w = real_array("w", w)
    targets, eps, strength = warp.targets, warp.eps, warp.strength
    position = targets.position(w)
    target = targets.value(position)
    if eps == 0:
        if targets.value(np.unique(position)).any() or np.isfinite(targets.mean_gap()):
            raise ValueError("eps must be > 0 where there are targets other than zero; got 0")
        return np.abs(w) / strength
    offset = w - target
    d, reach = np.abs(offset), warp.reach(position, offset)
    near, side = np.minimum(d, reach), np.sign(offset)
    inside = near + (side * target - eps) * np.log1p(near / eps)
    beyond = (d - near) * ((d + near) / 2 + side * target) / (near + eps)
    return np.asarray((_at_targets(warp, position) + inside + beyond) / strength)


def _at_targets(warp: Warp, position: Array) -> Array:
    """λV at the targets, up to a constant."""
    targets, eps = warp.targets, warp.eps
    if isinstance(targets, UniformGrid):
        return np.asarray(position**2 * targets.step * np.log1p(targets.step / (2 * eps)))
    if isinstance(targets, FiniteTargets):
        t = targets.values
        rise = (t[1:] + t[:-1]) * np.log1p(np.diff(t) / (2 * eps))
        return np.concatenate([[0.0], np.cumsum(rise)])[position.astype(np.intp) + targets.origin]
    return np.zeros_like(position)
