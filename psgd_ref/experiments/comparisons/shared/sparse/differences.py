"""Differences between ways to sparse models, seed by seed."""

from collections.abc import Mapping, Sequence

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row
from psgd_ref.experiments.shared.tables import points

# By way and sparsity: accuracies (0 … 1) over seeds.
Table = Mapping[tuple[str, float], Array]


def accuracies(found: Sequence[Row]) -> Table:
    """The rows as a table."""
    return {(row.method, row.sparsity): np.array(row.accuracies) for row in found}


def differences(one: Table, other: Table, way: str, base: str) -> list[str]:
    """For every sparsity, points of `way` in one table less those of `base` in another."""
    parts = []
    for name, sparsity in one:
        if name == way and (base, sparsity) in other:
            gain = 100 * (one[way, sparsity] - other[base, sparsity])
            parts.append(f"{points(gain)} at {100 * sparsity:g} %")
    return parts
