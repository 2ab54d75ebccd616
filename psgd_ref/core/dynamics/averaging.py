"""PSGD with momentum or Adam, and its scale, applied before the average of gradients or after it.

The two orders are equal where s is constant and differ where it is not: after the average a weight on its
target cannot move, before it the average carries it past (claim D8).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, in_range, real_array, real_number, same_shape
from psgd_ref.core.curvature import largest_stable_step
from psgd_ref.core.steps import psgd_step
from psgd_ref.core.warp import Warp, check_warp

ORDERS = ("before", "after")
Step = Callable[[Array, Array, float, Warp], Array]


def momentum_step(
    w: npt.ArrayLike,
    velocity: npt.ArrayLike,
    g: npt.ArrayLike,
    lr: float,
    warp: Warp,
    momentum: float,
    order: str,
    step: Step = psgd_step,
) -> tuple[Array, Array]:
    """One step of PSGD with heavy-ball momentum m, and the velocity for the next one.

    "before":  v⁺ = m v + η s(w) ⊙ g,   w⁺ = w − v⁺        (the official code's order)
    "after":   v⁺ = m v + g,            w⁺ = w − η s(w) ⊙ v⁺

    Parameters
    ----------
    w, velocity, g : same shape; velocity 0 at first
    lr : η ≥ 0, the same at every step
    momentum : m in [0, 1)
    order : "before" or "after", where the scale is applied: to the gradient or to the average
    step : the step without momentum, (w, g, lr, warp) → new w

    Raises
    ------
    ValueError for another order, and as `psgd_step`.

    Source
    ------
    Claims D8, F4. Polyak's heavy ball in PyTorch's form; `PSGD(momentum_order=…)` calls the two "scaled"
    and "gradient".

    >>> from psgd_ref.core import UniformGrid
    >>> rest = Warp(UniformGrid(1.0))  # at a target the scale is 0
    >>> [momentum_step([0.0], [0.2], [1.0], 0.1, rest, 0.5, order)[0].item() for order in ORDERS]
    [-0.1, 0.0]
    """
    check_warp(warp)
    w, velocity, g = real_array("w", w), real_array("velocity", velocity), real_array("g", g)
    same_shape("velocity", velocity, "w", w)
    same_shape("g", g, "w", w)
    m = real_number("momentum", momentum)
    if choice("order", order, ORDERS) == "after":
        velocity = m * velocity + g
        return step(w, velocity, lr, warp), velocity
    velocity = m * velocity + (w - step(w, g, lr, warp))
    return w - velocity, velocity


class Moments(NamedTuple):
    """Adam's state: running means of the gradient and of its square, and the number of steps taken."""

    mean: Array
    square: Array
    taken: int = 0


def adam_step(
    w: npt.ArrayLike,
    moments: Moments,
    g: npt.ArrayLike,
    lr: float,
    warp: Warp,
    order: str,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 0.0,
    step: Step = psgd_step,
) -> tuple[Array, Moments]:
    """One step of Adam with the position scale, and the moments for the next one.

    "before":  u = Adam's direction of s(w) ⊙ g,   w⁺ = w − η u      (the official code's order)
    "after":   u = Adam's direction of g,          w⁺ = w − η s(w) ⊙ u

    Adam's direction is m̂/(√v̂ + eps), 0 where both are 0, with bias-corrected means.

    Parameters
    ----------
    w, g : same shape
    moments : zeros of that shape at first
    lr : η > 0
    order : "before" or "after", where the scale is applied: to the gradient or to the direction
    betas, eps : Adam's own
    step : the step without Adam, (w, g, lr, warp) → new w

    Raises
    ------
    ValueError for another order, lr = 0, and as `psgd_step`.

    Source
    ------
    Kingma and Ba 2015; claim D8.
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    lr = real_number("lr", lr, positive=True)
    before = choice("order", order, ORDERS) == "before"
    given = (w - step(w, g, lr, warp)) / lr if before else g
    count, (first, second) = moments.taken + 1, betas
    mean = first * moments.mean + (1 - first) * given
    square = second * moments.square + (1 - second) * given**2
    size = np.sqrt(square / (1 - second**count)) + eps
    direction = np.divide(mean / (1 - first**count), size, out=np.zeros_like(w), where=size > 0)
    moved = w - lr * direction if before else step(w, direction, lr, warp)
    return moved, Moments(mean, square, count)


@in_range
def largest_stable_momentum_step(warped: npt.ArrayLike, momentum: float) -> float:
    """2(1 + m)/λ_max(H_Y): with momentum m PSGD is stable at a minimum for smaller η, in both orders.

    warped : H_Y of `warped_hessian`, (n, n), at a minimum with H ≻ 0 and s > 0; momentum : m in [0, 1).
    Source: claim F4; without the scale it is a textbook result.
    """
    return (1 + real_number("momentum", momentum)) * largest_stable_step(warped)
