"""The trace of a matrix that is known by its products alone."""

import numpy as np

from psgd_ref.analysis.eigenvalues import Product
from psgd_ref.core.arguments import whole_number


def hutchinson_trace(
    product: Product, size: int, samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """An unbiased estimate of tr A and its standard error.

    tr A = E zᵀA z,   z_i = ±1 with equal chance; the variance of one sample is 2 Σ_{i≠j} A_ij²

    Parameters
    ----------
    product
        v ↦ A v, A symmetric of shape (size, size).
    size
        n ≥ 1.
    samples
        How many vectors z, ≥ 2.
    rng
        The source of the vectors.

    Source
    ------
    Hutchinson 1990.
    """
    n = whole_number("size", size, 1)
    found = []
    for _ in range(whole_number("samples", samples, 2)):
        z = rng.choice((-1.0, 1.0), n)
        found.append(float(z @ np.asarray(product(z), np.float64)))
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(samples))
