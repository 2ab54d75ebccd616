"""Gradient noise of mean 0 and variance 1: two values, normal, and skewed (2 or −½)."""

from dataclasses import dataclass

import numpy as np

from psgd_ref.core.arguments import Array

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(8)


@dataclass(frozen=True, eq=False)
class Noise:
    """A distribution by its values and chances; a normal one by nodes of Gauss–Hermite quadrature."""

    values: Array
    chances: Array
    normal: bool = False

    def draw(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Independent samples."""
        if self.normal:
            return rng.standard_normal(shape)
        return np.asarray(rng.choice(self.values, shape, p=self.chances))


NOISES = {
    "two-valued": Noise(np.array([-1.0, 1.0]), np.array([0.5, 0.5])),
    "normal": Noise(_NODES, _WEIGHTS / _WEIGHTS.sum(), normal=True),
    "skewed": Noise(np.array([2.0, -0.5]), np.array([0.2, 0.8])),
}
