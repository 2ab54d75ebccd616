"""Losses for the laws on convergence and curvature, each with its gradient and what is known of its shape."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing.strategies import seeds


class Loss(Protocol):
    """A smooth function of a weight vector of n entries, drawn from a seed."""

    @property
    def n(self) -> int:
        """Number of weights."""
        ...

    def value(self, w: Array) -> float:
        """L(w)."""
        ...

    def gradient(self, w: Array) -> Array:
        """∇L(w), shape (n,)."""
        ...


@dataclass(frozen=True)
class Quadratic:
    """½(w − c)ᵀH(w − c), curvatures drawn over two orders of magnitude, directions at random.

    Smoothness β and PL constant μ are the extreme curvatures that are not 0; L* = 0.

    Parameters
    ----------
    unit
        The scale of c.
    flat
        Whether the least curvature is 0 (n > 1).
    """

    seed: int
    n: int
    unit: float = 1.0
    spread: float = 2.0
    flat: bool = False

    @cached_property
    def parts(self) -> tuple[Array, Array, Array]:
        """H, c, and the curvatures in rising order."""
        rng = np.random.default_rng(self.seed)
        directions = np.linalg.qr(rng.standard_normal((self.n, self.n)))[0]
        curvatures = np.sort(10 ** rng.uniform(-self.spread / 2, self.spread / 2, self.n))
        curvatures[: self.flat and self.n > 1] = 0.0
        return (
            (directions * curvatures) @ directions.T,
            2 * self.unit * rng.standard_normal(self.n),
            curvatures,
        )

    @property
    def smoothness(self) -> float:
        return float(self.parts[2][-1])

    @property
    def pl(self) -> float:
        return float(self.parts[2][self.parts[2] > 0][0])

    def value(self, w: Array) -> float:
        h, c, _ = self.parts
        return float(0.5 * (w - c) @ h @ (w - c))

    def gradient(self, w: Array) -> Array:
        h, c, _ = self.parts
        return np.asarray((w - c) @ h)

    def hessian(self, w: Array) -> Array:
        return self.parts[0]


@dataclass(frozen=True)
class Logistic:
    """Mean log(1 + exp(−label·x·w)) over 20 random points plus (ridge/2)‖w‖²: convex; L ≥ 0.

    β = ‖XᵀX‖/(4·20) + ridge, μ = ridge; third derivatives are at most mean‖x‖³/(6√3) in any direction.
    """

    seed: int
    n: int
    unit: float = 1.0
    ridge: float = 0.05

    @cached_property
    def points(self) -> Array:
        """Points times labels, (20, n), scaled so that weights of the size of `unit` matter."""
        return np.random.default_rng(self.seed).standard_normal((20, self.n)) / self.unit

    @property
    def _ridge(self) -> float:
        return self.ridge / self.unit**2

    @property
    def smoothness(self) -> float:
        return float(np.linalg.eigvalsh(self.points.T @ self.points)[-1]) / 80 + self._ridge

    @property
    def pl(self) -> float:
        return self._ridge

    @property
    def third(self) -> float:
        return float(np.mean(np.linalg.norm(self.points, axis=1) ** 3)) / 10.392304845413264  # 6√3

    def value(self, w: Array) -> float:
        return float(np.logaddexp(0, -self.points @ w).mean() + self._ridge / 2 * w @ w)

    def gradient(self, w: Array) -> Array:
        doubt = 0.5 - 0.5 * np.tanh(self.points @ w / 2)  # the logistic function, without overflow
        return np.asarray(-doubt @ self.points / 20 + self._ridge * w)

    def hessian(self, w: Array) -> Array:
        p = 0.5 - 0.5 * np.tanh(self.points @ w / 2)
        return np.asarray((self.points.T * (p * (1 - p))) @ self.points / 20 + self._ridge * np.eye(self.n))

    def minimum(self) -> Array:
        """The minimiser, by Newton's method; L is strongly convex, and the first steps are damped."""
        w = np.zeros(self.n)
        for _ in range(50):
            step = np.linalg.solve(self.hessian(w), self.gradient(w))
            while self.value(w - step) > self.value(w) and np.abs(step).max() > 1e-14 * self.unit:
                step = step / 2
            w = w - step
        return w


@dataclass(frozen=True)
class Perceptron:
    """A network 3 → 4 (tanh) → 3 with softmax cross-entropy on 16 random points: smooth, not convex; L ≥ 0.

    Parameters
    ----------
    unit
        What weights are multiples of.
    n
        27: 12 and then 12 weights and 3 biases.
    """

    seed: int
    unit: float = 1.0
    n: int = 27

    @cached_property
    def data(self) -> tuple[Array, Array]:
        """Inputs (16, 3) and one-hot labels (16, 3)."""
        rng = np.random.default_rng(self.seed)
        return rng.standard_normal((16, 3)), np.eye(3)[rng.integers(0, 3, 16)]

    def _forward(self, w: Array) -> tuple[Array, Array, Array, Array]:
        x, _ = self.data
        v = w / self.unit
        hidden = np.tanh(x @ v[:12].reshape(3, 4))
        out = v[12:24].reshape(4, 3)
        logits = hidden @ out + v[24:]
        return hidden, out, logits, x

    def value(self, w: Array) -> float:
        _, _, logits, _ = self._forward(w)
        top = logits.max(axis=1)
        log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return float(np.mean(log_sum - (logits * self.data[1]).sum(axis=1)))

    def gradient(self, w: Array) -> Array:
        hidden, out, logits, x = self._forward(w)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (p / p.sum(axis=1, keepdims=True) - self.data[1]) / len(x)
        back = error @ out.T * (1 - hidden**2)
        return (
            np.concatenate([(x.T @ back).ravel(), (hidden.T @ error).ravel(), error.sum(axis=0)]) / self.unit
        )


def smoothness_along(loss: Loss, w: Array, move: Array, points: int = 16) -> float:
    """The largest ‖∇L(w + a·move) − ∇L(w)‖/‖a·move‖, 0 < a ≤ 1: the descent lemma's β on a segment."""
    length, start = float(np.linalg.norm(move)), loss.gradient(w)
    if length == 0:
        return 0.0
    shares = np.arange(1, points + 1) / points
    return max(float(np.linalg.norm(loss.gradient(w + a * move) - start) / (a * length)) for a in shares)


def quadratics(unit: float = 1.0, largest: int = 6) -> st.SearchStrategy[Quadratic]:
    """Random quadratics of up to `largest` weights, with minimisers of the size of `unit`."""
    return st.builds(Quadratic, seeds, st.integers(1, largest), st.just(unit))
