"""The density of all eigenvalues of a symmetric matrix that is known by its products alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal

from psgd_ref.analysis.eigenvalues import Product
from psgd_ref.core.arguments import Array, real_array, real_number, whole_number


@dataclass(frozen=True)
class SpectralDensity:
    """A spectrum as weighted points: Σ weights · h(nodes) estimates the mean of h over all eigenvalues.

    Parameters
    ----------
    nodes, weights
        Shape (m,); the weights are ≥ 0 with sum 1.
    """

    nodes: Array
    weights: Array

    def mean(self, power: int = 1) -> float:
        """The mean of the eigenvalues' power: tr(Aᵏ)/n."""
        return float(self.weights @ self.nodes**power)

    def smooth(self, x: npt.ArrayLike, width: float) -> Array:
        """The density at x, where every node is a normal curve.

        Parameters
        ----------
        x
            Any shape.
        width
            Standard deviation of each curve, > 0.

        Returns
        -------
        Shape of x.
        """
        place = real_array("x", x)[..., None]
        z = (place - self.nodes) / real_number("width", width, positive=True)
        return np.asarray(np.exp(-0.5 * z**2) @ self.weights / (width * np.sqrt(2 * np.pi)))


def spectral_density(
    product: Product, size: int, steps: int, probes: int, rng: np.random.Generator
) -> SpectralDensity:
    """The density of eigenvalues by stochastic Lanczos quadrature.

    From a random unit vector z Lanczos' method makes a tridiagonal T; the eigenvalues of T with the squared
    first entries of its eigenvectors are Gauss's quadrature for zᵀh(A)z, exact for polynomials of degree
    up to 2·steps − 1. The mean over probes estimates tr h(A)/n.

    Parameters
    ----------
    product
        v ↦ A v, A symmetric of shape (size, size).
    size
        n ≥ 1.
    steps
        Of Lanczos' method for each probe, 1 … size.
    probes
        How many random vectors, ≥ 1.
    rng
        The source of the random vectors.

    Source
    ------
    Ghorbani, Krishnan and Xiao 2019; Golub and Welsch 1969 for the quadrature.
    """
    n = whole_number("size", size, 1)
    whole_number("steps", steps, 1, n), whole_number("probes", probes, 1)
    nodes, weights = [], []
    for _ in range(probes):
        diagonal, beside = lanczos(product, rng.standard_normal(n), steps)
        values, vectors = eigh_tridiagonal(diagonal, beside)
        nodes.append(values)
        weights.append(vectors[0] ** 2 / probes)
    return SpectralDensity(np.concatenate(nodes), np.concatenate(weights))


def lanczos(product: Product, start: Array, steps: int) -> tuple[Array, Array]:
    """Lanczos' tridiagonal matrix of a symmetric A from one start vector.

    Parameters
    ----------
    product
        v ↦ A v.
    start
        Shape (n,).
    steps
        The largest m.

    Returns
    -------
    The diagonal (m,) and the entries beside it (m − 1,), m ≤ steps; m < steps where the start vector's Krylov
    space is exhausted earlier.
    """
    basis = [np.asarray(start / np.linalg.norm(start), np.float64)]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = np.asarray(product(basis[-1]), np.float64)
        diagonal.append(float(basis[-1] @ image))
        # Against every earlier vector, twice: without it rounding makes copies of the largest eigenvalues.
        for _ in range(2):
            for vector in basis:
                image = image - (vector @ image) * vector
        length = float(np.linalg.norm(image))
        if len(diagonal) == steps or length <= 1e-12 * max(map(abs, diagonal)):
            return np.array(diagonal), np.array(beside)
        beside.append(length)
        basis.append(image / length)
