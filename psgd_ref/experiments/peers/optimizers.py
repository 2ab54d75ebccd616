"""What a peer's optimizer is as a step: against this library's own bit by bit, what it does to g, its claims.

An optimizer is a function (w, g, lr) in the family's environment: weights (n,) and gradients (steps, n) →
the weights after each step, (steps, n), from a fresh state. It may take momentum, weight_decay and nesterov.
"""

from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from psgd_ref.compress import MinMaxGrid
from psgd_ref.core import Warp, Zero, mirror_step
from psgd_ref.core.arguments import Array
from psgd_ref.experiments.peers.first_step import first_step
from psgd_ref.experiments.peers.peer import Peer, PeerError
from psgd_ref.experiments.peers.registry import Family
from psgd_ref.laws import check
from psgd_ref.laws.outcome import HOLDS
from psgd_ref.nn import Linear, Model
from psgd_ref.training.optimizers.links.proximal import PiecewiseAffine
from psgd_ref.training.optimizers.optimizer import Optimizer

# Seconds for an optimizer with all that is tried.
PATIENCE = 900.0
# What the runs against this library's own differ in.
VARIANTS: dict[str, dict[str, Any]] = {
    "g": {},
    "μ": {"momentum": 0.9},
    "μ, κ": {"momentum": 0.9, "weight_decay": 0.01},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
}
# Those of the ledger that a step without targets, ε and strength can be held to, see `psgd_ref.laws`.
CLAIMS = ("B3", "B4", "D6", "G1", "I1")
EXAMPLES = 20
# An odd number of weights: kernels treat the last ones in another way.
INPUTS, OUTPUTS = 59, 17
STEPS, LR, BITS = 20, 0.1, 4


def records(family: Family, python: Path, patience: float = PATIENCE) -> Iterator[dict[str, Any]]:
    """One record an optimizer, in the order of the family's module: "optimizer", and what `_found` says.

    Every optimizer has a process of its own.
    """
    for title, (function, options, kind) in family.optimizers.items():
        taken = signature(function).parameters
        variants = {name: how for name, how in VARIANTS.items() if set(how) <= set(taken)}
        head = {"optimizer": title, "kind": kind}
        with Peer(python, family.module, patience) as peer:
            try:
                yield {**head, **_found(_near(peer, function, options), kind, variants)}
            except (PeerError, NotImplementedError) as error:
                yield {**head, "error": str(error)}


def _near(peer: Peer, function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Array]:
    """The far function as one that is called here, with weights of any shape; it declines as a step may."""

    def run(w: Array, g: Array, lr: float, **more: Any) -> Array:
        arrays = {"w": w.ravel(), "g": g.reshape(-1, w.size)}
        try:
            found = peer(function.__name__, arrays, lr=lr, **options, **more)["value"]
        except PeerError as error:
            kind, _, reason = str(error).partition(": ")
            if kind == NotImplementedError.__name__:
                raise NotImplementedError(reason) from None
            raise
        return np.asarray(found).reshape(g.shape)

    return run


def _found(run: Callable[..., Array], kind: str, variants: dict[str, Any]) -> dict[str, Any]:
    """What the optimizer is.

    Returns
    -------
    dict
        "against": by variant, how far the weights are from this library's own after `STEPS` steps in
        float32, as `distance` says; "first": as `first_step` says; "claims": by id, "holds", what the
        smallest counter-example is, or why it was not tried. PARQ and its limit have no more than the
        first: what such a map does to the weights is no scaling of g.
    """
    random = np.random.default_rng(0)
    # Some know weights inside (−1, 1) alone, and none at 0.
    w = (random.uniform(0.05, 0.95, INPUTS * OUTPUTS) * random.choice([-1, 1], INPUTS * OUTPUTS)).astype("f4")
    g = random.normal(size=(STEPS, w.size)).astype(np.float32)
    against = {
        name: distance(run(w, g, LR, **how), OWN[kind](w, g, LR, **how)) for name, how in variants.items()
    }
    if kind in ("PARQ", "nearest target"):
        return {"against": against}

    def step(w: Array, g: Array, lr: float) -> Array:
        return run(w, g[None], lr)[0] if w.size else w.copy()

    subject = SimpleNamespace(__name__=kind, **{kind if kind == "mirror_step" else "step": step})
    return {"against": against, "first": first_step(step), "claims": _claims(subject)}


def _claims(subject: Any) -> dict[str, str]:
    found = {}
    for claim in CLAIMS:
        try:
            (outcome,) = check(subject, [claim], EXAMPLES).outcomes
        except ValueError as error:  # not about such a step, or all that was tried was declined
            found[claim] = f"not tried: {error}"
            continue
        # Without the line of code, which needs the optimizer.
        broken = " ".join(outcome.shown[:-1]) or outcome.status
        found[claim] = outcome.status if outcome.status == HOLDS else broken
    return found


def distance(found: Array, own: Array) -> dict[str, Any]:
    """Between two runs in float32: "equal", the share of weights with the same bits at the end, and "ulps".

    "ulps" is the largest distance in units in the last place of the larger of both, at least those of 1.
    """
    ulps = np.abs(found.astype(np.float64) - own) / np.spacing(np.maximum(np.abs(own), np.float32(1)))
    return {"equal": float((found[-1] == own[-1]).mean()), "ulps": float(f"{ulps.max():.3g}")}


def sgd(
    w: Array, g: Array, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
) -> Array:
    """This library's SGD, operation by operation: u = g + κw, v ← μv + u, w ← w − ηv; Nesterov's u + μv."""
    w, after = w.copy(), []
    velocity = np.zeros_like(w)
    for gradient in g:
        u = gradient + weight_decay * w if weight_decay else gradient
        velocity = momentum * velocity + u
        w = w - lr * (u + momentum * velocity if nesterov else velocity)
        after.append(w)
    return np.array(after)


def parq(w: Array, g: Array, lr: float) -> Array:
    """This library's PARQ, with torchao's inverse slope, which begins at exactly 1."""

    def slope(step: int) -> float:
        ends = [1 / (1 + np.exp(side * 10 * 0.5)) for side in (-1, 1)]
        return float((1 / (1 + np.exp(10 * (step / STEPS - 0.5))) - ends[1]) / (ends[0] - ends[1]))

    return _latent(w, g, lr, slope)


def nearest_target(w: Array, g: Array, lr: float) -> Array:
    """The limit of PARQ in which every weight is at its nearest target from the start."""
    return _latent(w, g, lr, lambda step: 0.0)


def _latent(w: Array, g: Array, lr: float, inverse_slope: Callable[[int], float]) -> Array:
    """SGD on latent weights, and what the network has of them after each step."""
    model = Model(Linear(INPUTS, OUTPUTS, bias=False))
    model.w[...] = w
    optimizer = Optimizer([], lr, proximal=PiecewiseAffine(MinMaxGrid(BITS), inverse_slope))
    state, after = optimizer.init(model), []
    for gradient in g:
        model.g[...] = gradient
        optimizer.update(model, state)
        after.append(model.w.copy())
    return np.array(after)


def mirror(w: Array, g: Array, lr: float) -> Array:
    """This library's mirror step towards zero, s(w) = |w|."""
    after, warp = [w], Warp(Zero())
    for gradient in g:
        after.append(mirror_step(after[-1], gradient, lr, warp))
    return np.array(after[1:])


# What a kind of optimizer is compared with.
OWN: dict[str, Callable[..., Array]] = {
    "step": sgd,
    "mirror_step": mirror,
    "PARQ": parq,
    "nearest target": nearest_target,
}
