"""Vector-Jacobian products against central differences, in float64."""

from collections.abc import Callable

import numpy as np

from psgd_ref.core.arguments import Array


def assert_vjp(
    forward: Callable[..., Array],
    backward: Callable[..., tuple[Array | None, ...]],
    inputs: tuple[Array, ...],
) -> None:
    """Hold ⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩ for a random dy and a random direction v in every input at once.

    forward(*inputs) -> y; backward(dy) -> one gradient for each input, None for those not asked for.
    """
    rng = np.random.default_rng(0)
    y = forward(*inputs)
    dy = rng.standard_normal(y.shape)
    gradients = backward(dy)
    assert len(gradients) == len(inputs)
    directions = [
        np.zeros_like(x) if gradient is None else rng.standard_normal(x.shape)
        for x, gradient in zip(inputs, gradients, strict=True)
    ]
    step = 1e-6
    ahead = forward(*(x + step * v for x, v in zip(inputs, directions, strict=True)))
    behind = forward(*(x - step * v for x, v in zip(inputs, directions, strict=True)))
    measured = float((dy * (ahead - behind)).sum() / (2 * step))
    claimed = 0.0
    for x, v, gradient in zip(inputs, directions, gradients, strict=True):
        if gradient is not None:
            assert gradient.shape == x.shape
            claimed += float((gradient * v).sum())
    size = float(np.abs(dy * ahead).sum()) + abs(measured) + 1.0
    assert abs(measured - claimed) < 1e-7 * size, (measured, claimed)
