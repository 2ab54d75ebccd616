"""Wrong on purpose, about what surrounds the step: averages, decay to the grid, noise, batch norm."""

from dataclasses import replace

import numpy as np

from psgd_ref.core import bounds, clustering, position_scale, psgd_step, warped_step
from psgd_ref.core.dynamics import averaging, escape, grid_decay, noise
from tests.meta.wrong import (
    RIGHT,
    _step,
    _with,
    ascends,
    decay_scaled,
    decays,
    hidden_eps,
    missing_eps,
    remainder_of_wrong_sign,
    scaled_by_root,
    sign_of_gradient,
    squared,
)

# Averages

STABLE = averaging.largest_stable_momentum_step
SWAPPED = {"before": "after", "after": "before"}


def momentum_in_the_other_order(w, velocity, g, lr, warp, m, order):
    return averaging.momentum_step(w, velocity, g, lr, warp, m, SWAPPED[order])


def dampened(w, velocity, g, lr, warp, m, order):
    """The running mean of Adam's kind, (1 − m) of the gradient."""
    return averaging.momentum_step(w, velocity, (1 - m) * g, lr, warp, m, order)


def nesterov(w, velocity, g, lr, warp, m, order):
    _, velocity = averaging.momentum_step(w, velocity, g, lr, warp, m, order)
    if order == "after":
        return psgd_step(w, g + m * velocity, lr, warp), velocity
    return psgd_step(w, g, lr, warp) - m * velocity, velocity


def adam_in_the_other_order(w, moments, g, lr, warp, order):
    return averaging.adam_step(w, moments, g, lr, warp, SWAPPED[order])


def adam_with_its_own_eps(w, moments, g, lr, warp, order):
    """An ε_A that is not small against the gradient: λ has an effect again."""
    return averaging.adam_step(w, moments, g, lr, warp, order, eps=float(np.abs(g).max()))


# Decay to the grid


def pulls_to_zero(w, g, lr, warp, decay):
    return psgd_step(w, g, lr, warp) - lr * decay * w


def pull_is_scaled(w, g, lr, warp, decay):
    return psgd_step(w, g + decay * (w - warp.targets.nearest(w)), lr, warp)


def pulls_by_its_sign(w, g, lr, warp, decay):
    """The L1 pull without the scale, by subgradient."""
    return psgd_step(w, g, lr, warp) - lr * decay / warp.strength * np.sign(w - warp.targets.nearest(w))


def pulls_from_where_it_arrives(w, g, lr, warp, decay):
    after = psgd_step(w, g, lr, warp)
    return after - lr * decay * (after - warp.targets.nearest(after))


def pulls_five_times(w, g, lr, warp, decay):
    return grid_decay.grid_decay_step(w, g, lr, warp, 5 * decay)


def penalty_without_strength(w, warp, decay):
    return warp.strength * grid_decay.grid_decay_penalty(w, warp, decay)


def penalty_without_eps(w, warp, decay):
    return decay / warp.strength * np.abs(w - warp.targets.nearest(w))


def threshold_without_strength(g, lr, strength, decay):
    """κ where κ/λ belongs."""
    return grid_decay.hold_factor(g, lr, 1.0, decay)


def stable_below_two(g, lr, strength, decay):
    """|1 − η(κ ± λ|g|)| ≤ 1 on both sides: too strict, a weight may jump from one to the other."""
    push = strength * abs(g)
    return max(abs(1 - lr * (decay + push)), abs(1 - lr * (decay - push)))


# Noise


def diffusion_at_the_mean_scale(gap, eps, strength, lr, variance, discretization="psgd"):
    return (lr * strength * (gap / 4 + eps)) ** 2 * variance


def diffusion_of_psgd(gap, eps, strength, lr, variance, discretization="psgd"):
    return escape.effective_diffusion(gap, eps, strength, lr, variance)


def diffusion_without_eps_on_top(gap, eps, strength, lr, variance, discretization="psgd"):
    return (lr * strength) ** 2 * variance * eps * gap / 2


# Batch norm


def squares(w, warp):
    """What gradient descent's flow keeps."""
    return w**2 / 2


def eps_in_absolute_units(w, g, lr, warp):
    """An ε that does not follow Δ."""
    return w - lr * (warp.scale(w) + 0.01 * warp.strength) * g


def decays_before(w, g, lr, warp, decay):
    return psgd_step(w * (1 - 2 * lr * decay), g, lr, warp)


TRAINING = {
    "C6": [
        _step(squared),
        replace(RIGHT, scale=lambda w, t, e=0.0, s=1.0, cap=False: position_scale(w, t, e, 1.0, cap)),
        _with(mean_scale_of_cell=bounds.largest_scale),
        _with(volume_strength=lambda targets, eps: 4 / targets.mean_gap()),
    ],
    "D8": [
        replace(RIGHT, momentum_step=momentum_in_the_other_order),
        replace(RIGHT, adam_step=adam_in_the_other_order),
        replace(RIGHT, adam_step=adam_with_its_own_eps),
        _step(hidden_eps),
        _step(scaled_by_root),
    ],
    "D9": [
        replace(RIGHT, momentum_step=momentum_in_the_other_order),
        replace(RIGHT, decayed_step=decay_scaled),
        _step(hidden_eps),
    ],
    "D10": [
        replace(RIGHT, grid_decayed_step=pulls_to_zero),
        replace(RIGHT, grid_decayed_step=pulls_five_times),
        replace(RIGHT, grid_decayed_step=pull_is_scaled),
        _with(grid_decay_penalty=penalty_without_strength),
        _step(ascends),
    ],
    "E5": [
        replace(RIGHT, grid_decayed_step=pulls_to_zero),
        replace(RIGHT, grid_decayed_step=pull_is_scaled),
        replace(RIGHT, grid_decayed_step=pulls_by_its_sign),
        replace(RIGHT, grid_decayed_step=pulls_from_where_it_arrives),
        _step(missing_eps),
        _with(grid_decay_penalty=penalty_without_strength),
        _with(grid_decay_penalty=penalty_without_eps),
        _with(hold_factor=threshold_without_strength),
        _with(hold_factor=stable_below_two),
        _with(hold_distance=lambda g, eps, strength, decay: eps * strength * abs(g) / decay),
    ],
    "E6": [
        replace(RIGHT, grid_decayed_step=pulls_to_zero),
        replace(RIGHT, grid_decayed_step=pull_is_scaled),
        _with(gathering_factor=lambda G, lr, strength, decay: 1 - lr * decay),
        _with(gathering_factor=lambda G, lr, strength, decay: 1 - lr * (decay - G)),
        _with(rounding_bound=lambda q, G, beta: G * np.abs(q).sum()),
        _with(log_distance_drift=lambda lr, strength, v: clustering.log_distance_drift(lr, strength, 1.0)),
        _step(warped_step),
    ],
    "E7": [
        _step(warped_step),
        _step(remainder_of_wrong_sign),
        _with(noise_decay=lambda lr, strength, v: 2 * noise.noise_decay(lr, strength, v)),
        _with(noise_decay=lambda lr, strength, v: lr * strength * v / 2),
        _with(hold_factor=lambda g, lr, strength, decay: 0.9),
    ],
    "E8": [
        _step(warped_step),
        replace(RIGHT, mirror_step=psgd_step),
        replace(RIGHT, warped_step=remainder_of_wrong_sign),
        _with(effective_diffusion=diffusion_at_the_mean_scale),
        _with(effective_diffusion=diffusion_of_psgd, escape_time=lambda *a: escape.escape_time(*a[:5])),
        _with(effective_diffusion=diffusion_without_eps_on_top),
        _with(escape_time=lambda *a: escape.escape_time(*a) / 2),
    ],
    "E9": [
        _step(sign_of_gradient),
        _step(remainder_of_wrong_sign),
        _step(warped_step),
        _with(noise_bias=lambda lr, strength, v, h: 0.0),
        _with(noise_bias=lambda lr, strength, v, h: 2 * noise.noise_bias(lr, strength, v, h)),
        _with(noise_bias=lambda lr, strength, v, h: -noise.noise_bias(lr, strength, v, h)),
    ],
    "F4": [
        _step(scaled_by_root),
        replace(RIGHT, momentum_step=dampened),
        replace(RIGHT, momentum_step=nesterov),
        _with(largest_stable_momentum_step=lambda h, m: STABLE(h, 0.0)),
        _with(largest_stable_momentum_step=lambda h, m: STABLE(h, 1 / (1 - m))),
    ],
    "I1": [
        _step(warped_step),
        _step(squared),
        _step(hidden_eps),
        replace(RIGHT, warped_step=psgd_step),
        replace(RIGHT, mirror_step=decays),
        replace(RIGHT, decayed_step=decay_scaled),
        replace(RIGHT, decayed_step=decays_before),
        replace(RIGHT, momentum_step=momentum_in_the_other_order),
        _with(filter_invariant=squares),
    ],
    "I2": [
        _step(eps_in_absolute_units),
        _step(decays),
        _with(volume_strength=lambda targets, eps: 8.0),
    ],
}
