"""Which of the known rules a quantizer has its scale from, fitted to data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.laws.description.staircase import Run, Staircase

Rule = Callable[[Array], float]

# Relative error up to which a rule counts as right: it tells 127 from 127.5, and lets half precision pass.
_NEAR = 1e-3
_MSE_NEAR = 2e-3


@dataclass(frozen=True)
class Scale:
    """The rule that the scale follows.

    Parameters
    ----------
    rule
        Its name, one of `rules(bits)`, "least squared error", "given", "the same for every tensor",
        "codebook: largest level = c max|w|", or "unknown".
    error
        The largest relative difference from that rule over the tensors tried; None where none was fitted.
    formula
        The rule as a function of the weights, where it has one.
    """

    rule: str
    error: float | None = None
    formula: Rule | None = None


def rules(bits: int) -> dict[str, Rule]:
    """The rules in closed form, by name: each the step Δ of a tensor w at that number of bits.

    Examples
    --------
    >>> rules(4)["max|w|/(2^(b-1)-1/2)"](np.array([-7.5, 1.0]))
    1.0
    """
    half, whole = 2.0 ** (bits - 1), 2.0**bits

    def largest(w: Array) -> float:
        return float(np.abs(w).max())

    def with_zero(w: Array) -> float:
        return max(float(w.max()), 0.0) - min(float(w.min()), 0.0)

    def ternary(w: Array) -> float:
        m = np.abs(w)
        return float(m[m > 0.7 * m.mean()].mean())

    found: dict[str, Rule] = {
        "max|w|/(2^(b-1)-1/2)": lambda w: largest(w) / (half - 0.5),
        "max|w|/2^(b-1)": lambda w: largest(w) / half,
        "(max(w)-min(w))/(2^b-1)": lambda w: (float(w.max()) - float(w.min())) / (whole - 1),
        "(max(w,0)-min(w,0))/(2^b-1)": lambda w: with_zero(w) / (whole - 1),
        "(max(w)-min(w))/2^b": lambda w: (float(w.max()) - float(w.min())) / whole,
        "2^ceil(log2 max|w|)/2^(b-1)": lambda w: float(2.0 ** np.ceil(np.log2(largest(w)))) / half,
        "mean|w|": lambda w: float(np.abs(w).mean()),
        "mean of |w| > 0.7 mean|w|": ternary,
    }
    if bits > 1:
        found = {
            "max|w|/(2^(b-1)-1)": lambda w: largest(w) / (half - 1),
            "max(max(w)/(2^(b-1)-1), -min(w)/2^(b-1))": lambda w: max(
                float(w.max()) / (half - 1), -float(w.min()) / half
            ),
            **found,
            "2 mean|w|/sqrt(2^(b-1)-1)": lambda w: float(2 * np.abs(w).mean() / np.sqrt(half - 1)),
        }
    return found


def samples(size: int, dtype: np.dtype) -> list[Array]:
    """Tensors (size,) on which the rules differ: of one sign and both, narrow and wide, with heavy tails."""
    rng = np.random.default_rng(7)
    normal = rng.standard_normal
    tensors = [
        normal(size),
        rng.uniform(-1.0, 2.3, size),
        0.0031 * (normal(size) - 0.8),
        19.0 * rng.laplace(size=size),
        0.37 * (np.abs(normal(size)) + 0.5),
        -(np.abs(normal(size)) ** 1.5) - 0.1,
    ]
    return [tensor.astype(dtype) for tensor in tensors]


def fitted(run: Run, scale_of: Callable[[Array], float | None], bits: int, tensors: list[Array]) -> Scale:
    """The rule that fits best over the tensors, or why none does.

    Parameters
    ----------
    run
        Q as values.
    scale_of
        The scale that comes with Q's codes, None where it has none.
    """
    values = [run(w) for w in tensors]
    stairs = [Staircase.of(q) for q in values]
    told = [scale_of(w) for w in tensors]
    steps = [s if s else stair.step for s, stair in zip(told, stairs, strict=True)]
    if not all(np.isfinite(q).all() for q in values):
        return Scale("unknown: NaN or infinity")
    known = [(w, s) for w, s in zip(tensors, steps, strict=True) if s is not None]
    if len(known) < 3 or _codebook(stairs, told):
        return _by_codebook(tensors, stairs)
    best = Scale("unknown", float("inf"))
    for name, formula in rules(bits).items():
        off = max(abs(s / formula(w) - 1) for w, s in known)
        if best.error is None or off < best.error * (1 - 1e-9):
            best = Scale(name, off, formula)
    if best.error is not None and best.error <= _NEAR:
        return best
    first = known[0][1]
    if max(abs(s / first - 1) for _, s in known) <= _NEAR:
        return Scale("the same for every tensor", 0.0, lambda w: first)
    if all(_least(w, q, bits) for w, q in zip(tensors[:4], values[:4], strict=True)):
        return Scale("least squared error")
    return Scale("unknown")


def _codebook(stairs: list[Staircase], told: list[float | None]) -> bool:
    """Whether the levels of dense tensors are uneven, where the scale does not come with codes."""
    uneven = [not stair.even for stair in stairs if len(stair.levels) > 3]
    return len(uneven) > 2 and float(np.mean(uneven)) > 0.5 and not any(told)


def _by_codebook(tensors: list[Array], stairs: list[Staircase]) -> Scale:
    shares = np.array(
        [
            np.abs(stair.levels).max() / np.abs(w).max()
            for w, stair in zip(tensors, stairs, strict=True)
            if len(stair.levels)
        ]
    )
    if len(shares) and np.ptp(shares) <= _NEAR * shares.max() and shares.max() > 0:
        return Scale(f"codebook: largest level = {shares[0]:.4g} max|w|", float(np.ptp(shares)))
    return Scale("unknown")


def _least(w: Array, q: Array, bits: int) -> bool:
    """Whether it has the squared error of the best symmetric grid of 2^b − 1 levels."""
    m, levels = np.abs(w).astype(np.float64), max(2 ** (bits - 1) - 1, 1)
    clips = m.max() * np.linspace(0.02, 1, 400)
    steps = clips[:, None] / levels
    errors = ((m - np.minimum(np.rint(m / steps), levels) * steps) ** 2).sum(1)
    own = ((w.astype(np.float64) - q) ** 2).sum()
    # With less it has another grid than these.
    return bool(abs(own / errors.min() - 1) <= _MSE_NEAR)
