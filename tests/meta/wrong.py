"""Deliberately wrong subjects, one or more for every claim: mistakes that people make, by name."""

from dataclasses import replace

import numpy as np

from psgd_ref.core import (
    UniformGrid,
    Warp,
    Zero,
    barrier,
    bounds,
    clustering,
    curvature,
    discretization,
    mirror_step,
    position_scale,
    psgd_step,
    reparametrisation,
    warped_step,
)
from psgd_ref.core.scale import cell_length
from psgd_ref.laws import Subject, as_subject
from psgd_ref.laws.drawing.strategies import Setting

RIGHT = Subject()


# Warps


class InverseForgetsEps(Warp):
    def _distance(self, length, reach):
        return self.strength / 4 * length**2


class JumpsAtWalls(Warp):
    """The constant c(w̄) counts the targets instead of making f continuous."""

    def __init__(self, targets, eps=0.0, strength=1.0, cap=False):
        super().__init__(targets, eps, strength, cap)
        self.images = targets.respaced(lambda gap: cell_length(gap, eps, self.strength) + 1)


class SlopeIsInverseScale(Warp):
    def derivative(self, w):
        with np.errstate(divide="ignore"):
            return 1 / self.scale(w)


class IgnoresCap(Warp):
    def __init__(self, targets, eps=0.0, strength=1.0, cap=False):
        super().__init__(targets, eps, strength, cap=False)


class VolumeStrengthOfZeroEps(Warp):
    def __init__(self, targets, eps=0.0, strength=1.0, cap=False):
        super().__init__(targets, eps, 8 / targets.mean_gap() if strength == "volume" else strength, cap)


class Flat(Warp):
    """The identity: it does preserve volume pointwise."""

    def __call__(self, w):
        return np.asarray(w)

    def inverse(self, y):
        return np.asarray(y)

    def derivative(self, w):
        return np.ones_like(w)

    def scale(self, w):
        return np.ones_like(w)


# Scales


def squared_distance(w, targets, eps=0.0, strength=1.0, cap=False):
    d = w - targets.nearest(w)
    return (1.0 if isinstance(strength, str) else strength) * (d**2 + eps)


def constant(w, targets, eps=0.0, strength=1.0, cap=False):
    return np.ones_like(w)


def without_cap(w, targets, eps=0.0, strength=1.0, cap=False):
    return position_scale(w, targets, eps, strength, cap=False)


def unimodular_is_zero(w, targets, eps=0.0, strength=1.0, cap=False):
    """No scale at all as soon as one weight is on its target."""
    try:
        return position_scale(w, targets, eps, strength, cap)
    except ValueError:
        return np.zeros_like(w)


def arithmetic_mean(w, targets, eps=0.0, strength=1.0, cap=False):
    return position_scale(w, targets, eps, "mean-one" if isinstance(strength, str) else strength, cap)


# Steps


def missing_eps(w, g, lr, warp):
    return w - lr * (warp.scale(w) - warp.strength * warp.eps) * g


def hidden_eps(w, g, lr, warp):
    return w - lr * (warp.scale(w) + 1e-3 * warp.strength * np.minimum(warp.targets.mean_gap(), 1e3)) * g


def scaled_by_slope(w, g, lr, warp):
    """f′ where 1/f′² belongs."""
    return w - lr * np.minimum(warp.derivative(w), 1e6) * g


def scaled_by_root(w, g, lr, warp):
    """1/f′ where 1/f′² belongs."""
    return w - lr * np.sqrt(warp.scale(w)) * g


def squared(w, g, lr, warp):
    d = w - warp.targets.nearest(w)
    return w - lr * warp.strength * (d**2 + warp.eps) * g


def ascends(w, g, lr, warp):
    return w + lr * warp.scale(w) * g


def five_times(w, g, lr, warp):
    return psgd_step(w, 5 * g, lr, warp)


def fifty_times(w, g, lr, warp):
    return psgd_step(w, 50 * g, lr, warp)


def mirror_knows_where_zero_is(w, g, lr, warp):
    """At ε = 0 off by an amount that depends on the place of the targets."""
    off = np.sin(warp.targets.nearest(np.zeros(1))[0] + warp.targets.nearest(np.ones(1))[0])
    return mirror_step(w, g, lr, warp) + (1e-3 * lr * off if warp.eps == 0 else 0.0)


def one_level_more_below(w, g, lr, targets, eps, strength, cap):
    """Clips at −2^(b−1), one level below the range."""
    grid = targets
    if not isinstance(targets, UniformGrid):
        d = np.abs(w - targets.nearest(w))
    else:
        k = np.rint(w / grid.step)
        k = k if grid.levels is None else k.clip(-grid.levels - 1, grid.levels)
        d = np.abs(w - k * grid.step)
    if cap and not isinstance(targets, Zero):
        d = np.minimum(d, position_scale(w, targets, 0.0, 1.0, cap=True).max(initial=0.0))
    return w - lr * strength * (d + eps) * g


def changes_weights(w, g, lr, targets, eps, strength, cap):
    w -= lr * position_scale(w, targets, eps, strength, cap) * g
    return w


def changes_gradients(w, g, lr, targets, eps, strength, cap):
    g *= position_scale(w, targets, eps, strength, cap)
    return w - lr * g


def rule_changes_weights(w, targets, eps, strength, cap):
    s = position_scale(w, targets, eps, strength, cap)
    w -= targets.nearest(w)
    return s


def does_not_move(w, g, lr, warp):
    return w


def decays(w, g, lr, warp):
    return psgd_step(w, g, lr, warp) * (1 - 1e-3 * lr)


def sign_of_gradient(w, g, lr, warp):
    """Like Adam: not linear in g, so biased by noise."""
    return w - lr * warp.scale(w) * np.sign(g)


def remainder_of_wrong_sign(w, g, lr, warp):
    return 2 * psgd_step(w, g, lr, warp) - warped_step(w, g, lr, warp)


def warped_without_root(w, g, lr, warp):
    return warp.inverse(warp(w) - lr * g)


def warped_at_half_rate(w, g, lr, warp):
    return warped_step(w, g, lr / 2, warp)


# Quantizers


def floor(w, targets):
    if isinstance(targets, UniformGrid):
        reach = np.inf if targets.levels is None else targets.levels
        return np.clip(np.floor(w / targets.step), -reach, reach).astype(w.dtype) * targets.step
    return targets.nearest(w)


def half_up(w, targets):
    """Ties upwards instead of to the even place: not odd."""
    if isinstance(targets, UniformGrid):
        reach = np.inf if targets.levels is None else targets.levels
        return (np.clip(np.floor(w / targets.step + 0.5), -reach, reach) * targets.step).astype(w.dtype)
    return targets.nearest(w)


class OffByOne:
    """Codes that begin at one."""

    scale = None

    def __init__(self, targets):
        self.levels = Setting(targets, 0.0, 1.0).points
        self.targets = targets

    def codes(self, w):
        nearest = np.abs(w[:, None] - self.levels).argmin(axis=1)
        return np.minimum(np.maximum(nearest, 1), len(self.levels) - 1)


# Decay and pruning


def decay_scaled(w, g, lr, warp, weight_decay):
    return psgd_step(w, g + weight_decay * w, lr, warp)


def prunes_largest(w, sparsity):
    return np.where(np.argsort(np.argsort(-np.abs(w))) < round(sparsity * w.size), 0.0, w)


def prunes_values_not_sizes(w, sparsity):
    return np.where(np.argsort(np.argsort(w)) < round(sparsity * w.size), 0.0, w)


def prunes_too_few(w, sparsity):
    return np.where(np.argsort(np.argsort(np.abs(w))) < int(sparsity * w.size / 2), 0.0, w)


def _smallest_by(w, sparsity, last):
    """Zeros for the smallest |w|; among equal ones by the last key."""
    order = np.lexsort((last, np.abs(w)))
    pruned = w.copy()
    pruned[order[: round(sparsity * w.size)]] = 0.0
    return pruned


def ties_by_sign(w, sparsity):
    return _smallest_by(w, sparsity, w)


_chance = np.random.default_rng(0)


def ties_by_chance(w, sparsity):
    return _smallest_by(w, sparsity, _chance.random(w.size))


def prunes_in_place(w, sparsity):
    w[np.argsort(np.abs(w), kind="stable")[: round(sparsity * w.size)]] = 0.0
    return w


# Formulas


def zero_outside(to, start, targets, strength=1.0, cap=False):
    """A divergence that forgets weights beyond the range."""
    low, high = barrier.target_interval(start, targets)
    inner = np.isfinite(high - low)
    return barrier.mirror_divergence(np.where(inner, to, start), start, targets, strength, cap)


def uncapped_divergence(to, start, targets, strength=1.0, cap=False):
    return barrier.mirror_divergence(to, start, targets, strength)


def equilibrium_without_eps(target, gradient, strength, weight_decay, eps=0.0):
    return clustering.decay_equilibrium(target, gradient, strength, weight_decay)


def equilibrium_never_below_zero(target, gradient, strength, weight_decay, eps=0.0):
    try:
        return clustering.decay_equilibrium(target, gradient, strength, weight_decay, eps)
    except ValueError:
        return 0.0


def stable_at_saddles(warped):
    top = float(np.linalg.eigvalsh(warped)[-1])
    return 2 / top if top > 0 else float("inf")


def metric_of_rows(jacobian):
    """(JJᵀ)⁻¹ in place of (JᵀJ)⁻¹: the same for an elementwise warp."""
    back = np.linalg.inv(jacobian)
    return back.T @ back


def without_second_term(hessian, gradient, w, warp):
    return curvature.warped_hessian(hessian, 0 * gradient, w, warp)


def without_half(hessian, gradient, shift):
    return float(gradient @ shift + shift @ hessian @ shift)


def _with(**formulas):
    return RIGHT.with_formulas(**formulas)


def _step(step):
    return replace(RIGHT, psgd_step=step)


WRONG = {
    "A1": [replace(RIGHT, warp=InverseForgetsEps), replace(RIGHT, warp=JumpsAtWalls)],
    "A2": [
        replace(RIGHT, scale=squared_distance),
        replace(RIGHT, warp=SlopeIsInverseScale),
        _with(general_scale=metric_of_rows),
    ],
    "A3": [
        as_subject(rule_changes_weights),
        replace(RIGHT, scale=constant),
        replace(RIGHT, scale=squared_distance),
    ],
    "A4": [replace(RIGHT, scale=constant), replace(RIGHT, scale=arithmetic_mean)],
    "A5": [replace(RIGHT, scale=without_cap), replace(RIGHT, warp=IgnoresCap), _step(five_times)],
    "B1": [
        _step(scaled_by_root),
        replace(RIGHT, warped_step=warped_without_root),
        _with(general_scale=metric_of_rows),
    ],
    "B2": [
        as_subject(one_level_more_below),
        as_subject(changes_weights),
        as_subject(changes_gradients),
        replace(RIGHT, warped_step=remainder_of_wrong_sign),
        _step(missing_eps),
        _with(warp_remainder=lambda *a: discretization.warp_remainder(*a) / 2),
    ],
    "B3": [
        replace(RIGHT, mirror_step=warped_step),
        replace(RIGHT, warped_step=remainder_of_wrong_sign),
        _with(second_order_coefficient=lambda name: 0.25),
        _with(decay_ratio=lambda t, name: 1 - t),
    ],
    "B4": [
        _step(decays),
        replace(RIGHT, scale=squared_distance),
        replace(RIGHT, mirror_step=mirror_knows_where_zero_is),
    ],
    "C1": [replace(RIGHT, warp=Flat), _with(volume_factor=lambda w, warp: 1.0)],
    "C2": [replace(RIGHT, warp=VolumeStrengthOfZeroEps)],
    "C3": [
        _with(volume_strength=lambda targets, eps: 8 / targets.mean_gap()),
        replace(RIGHT, scale=arithmetic_mean),
    ],
    "C4": [replace(RIGHT, warp=SlopeIsInverseScale)],
    "C5": [replace(RIGHT, scale=arithmetic_mean), replace(RIGHT, scale=unimodular_is_zero)],
    "D1": [_step(five_times), _step(ascends), _step(scaled_by_slope), _step(does_not_move)],
    "D2": [_step(does_not_move), _with(rate_bound=lambda gap, lr, steps: gap / (lr * steps) / 50)],
    "D3": [
        _step(missing_eps),
        _step(scaled_by_root),
        _with(pl_rate=lambda lr, eps, strength, pl: 1 - 4 * lr * eps * strength * pl),
    ],
    "D4": [
        _step(sign_of_gradient),
        _with(stochastic_bound=lambda gap, lr, steps, *noise: bounds.rate_bound(gap, lr, steps)),
    ],
    "D5": [_step(missing_eps), _step(hidden_eps), _step(decays), _step(fifty_times)],
    "D6": [
        _step(hidden_eps),
        _step(scaled_by_root),
        replace(RIGHT, mirror_step=does_not_move),
        _with(mirror_divergence=zero_outside),
        _with(mirror_divergence=uncapped_divergence),
    ],
    "D7": [_step(five_times), _step(ascends)],
    "E1": [_step(warped_step), replace(RIGHT, mirror_step=psgd_step), _step(squared)],
    "E2": [_step(warped_step), replace(RIGHT, mirror_step=psgd_step)],
    "E3": [_step(mirror_step), _with(expected_squared_error=lambda half, eps: half**2 / 3)],
    "E4": [
        _step(squared),
        replace(RIGHT, decayed_step=decay_scaled),
        _with(soft_threshold=lambda c, threshold: np.where(np.abs(c) > threshold, c, 0)),
        _with(decay_equilibrium=equilibrium_without_eps),
        _with(decay_equilibrium=equilibrium_never_below_zero),
    ],
    "F1": [_with(warped_hessian=without_second_term), replace(RIGHT, warp=InverseForgetsEps)],
    "F2": [_step(scaled_by_root), _step(missing_eps), _with(largest_stable_step=stable_at_saddles)],
    "F3": [_with(quantization_loss=without_half), replace(RIGHT, nearest=floor)],
    "G1": [
        replace(RIGHT, warped_step=warped_at_half_rate),
        replace(RIGHT, warped_step=psgd_step),
        _with(powerpropagation_scale=lambda w, a: a * reparametrisation.powerpropagation_scale(w, a)),
    ],
    "G2": [_with(difference_of_squares_scale=lambda w, uv: 4 * np.hypot(w, uv))],
    "G3": [
        *(replace(RIGHT, prune=rule) for rule in (prunes_largest, prunes_values_not_sizes, prunes_too_few)),
        replace(RIGHT, prune=ties_by_sign),
        replace(RIGHT, prune=ties_by_chance),
        as_subject(prunes_in_place),
    ],
    "H1": [
        replace(RIGHT, nearest=floor),
        replace(RIGHT, nearest=half_up),
        replace(RIGHT, quantizer=OffByOne),
    ],
}

# Subjects that once passed on some seed: places in the lists above.
NARROW = {
    "A3": [0],
    "B2": [0, 1, 2],
    "B4": [2],
    "C5": [1],
    "D5": [3],
    "D6": [3, 4],
    "E4": [3, 4],
    "F2": [2],
    "G3": [3, 4, 5],
}
