"""Integrals over cells, with nodes that no target or wall, and no root singularity at a target, can hurt."""

import itertools

import numpy as np

from psgd_ref.core.arguments import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(60)


def half_cell(target: float, side: float, reach: float) -> tuple[Array, Array]:
    """Nodes and weights for ∫ over [target, target + side·reach], fit for d^(±1/2).

    d = reach·x⁴: the substitution makes any half-integer power of d a polynomial in x, and crowds nodes at
    the target, where 1/√(d + ε) is steep.
    """
    x = (_NODES + 1) / 2
    return target + side * reach * x**4, _WEIGHTS / 2 * 4 * reach * x**3


def cells(points: Array) -> tuple[Array, Array]:
    """Nodes and weights for ∫ from the first to the last target, half cell by half cell."""
    parts = []
    for low, high in itertools.pairwise(points):
        half = (high - low) / 2
        parts += [half_cell(low, 1.0, half), half_cell(high, -1.0, half)]
    nodes, weights = zip(*parts, strict=True)
    return np.concatenate(nodes), np.concatenate(weights)


def gauss(ends: Array, count: int) -> tuple[Array, Array]:
    """Nodes and weights for ∫ from the first to the last of the ends, piece by piece, `count` nodes each."""
    x, weights = np.polynomial.legendre.leggauss(count)
    half = np.diff(ends)[:, None] / 2
    return ((ends[:-1, None] + ends[1:, None]) / 2 + half * x).ravel(), (half * weights).ravel()
