"""The ends of the spectrum of a symmetric matrix that is known by its products alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from psgd_ref.core.arguments import Array, choice, real_number, whole_number

# v ↦ A v for a symmetric A; v has shape (n,) and float64.
Product = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

ENDS = {"largest": "LA", "smallest": "SA"}


def extreme_eigenvalues(
    product: Product, size: int, count: int = 1, end: str = "largest", tolerance: float = 1e-3, seed: int = 0
) -> Array:
    """The largest (or smallest, signed) eigenvalues by Lanczos iteration, the extreme one first.

    Parameters
    ----------
    product
        v ↦ A v, A symmetric of shape (size, size), such as `Hessian(...).product`.
    size
        n ≥ 2, the number of rows of A.
    count
        How many eigenvalues, 1 … size − 1.
    end
        "largest" or "smallest".
    tolerance
        Relative accuracy at which to stop.
    seed
        Of the start vector.

    Returns
    -------
    float64 of shape (count,).

    Raises
    ------
    ValueError
        For bad arguments.
    ArithmeticError
        When the iteration does not converge.

    Source
    ------
    SciPy's `eigsh` (ARPACK's implicitly restarted Lanczos method).
    """
    n = whole_number("size", size, 2)
    whole_number("count", count, 1, n - 1)
    which = ENDS[choice("end", end, tuple(ENDS))]
    start = np.random.default_rng(whole_number("seed", seed, 0)).standard_normal(n)
    operator = LinearOperator((n, n), matvec=lambda v: np.asarray(product(v.ravel()), np.float64))
    stop = real_number("tolerance", tolerance)
    try:
        found = eigsh(operator, count, which=which, v0=start, tol=stop, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        got = len(error.eigenvalues)
        raise ArithmeticError(f"Lanczos found {got} of {count} eigenvalues; raise the tolerance") from None
    ordered = np.sort(np.asarray(found, np.float64))
    return ordered[::-1] if end == "largest" else ordered
