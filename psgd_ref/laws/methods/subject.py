"""What a law is held against: a bundle of functions, this library's own unless others are given."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from psgd_ref.core import (
    Targets,
    Warp,
    barrier,
    bounds,
    clustering,
    curvature,
    discretization,
    mirror_step,
    position_scale,
    psgd_step,
    reparametrisation,
    volume_strength,
    warped_step,
)
from psgd_ref.core.arguments import Array
from psgd_ref.core.dynamics import averaging, escape, grid_decay, invariant, noise
from psgd_ref.core.dynamics.averaging import Moments
from psgd_ref.laws.methods.protocols import Quantizer
from psgd_ref.laws.methods.quantizers import Quantization
from psgd_ref.laws.trial import Calls

Step = Callable[[Array, Array, float, Warp], Array]


def nearest(w: Array, targets: Targets) -> Array:
    """w̄, by the target set itself."""
    return targets.nearest(w)


@dataclass(frozen=True)
class Formulas:
    """The closed forms and bounds of the ledger, under the names they have in `psgd_ref.core`."""

    general_scale: Callable[..., Array] = reparametrisation.general_scale
    warp_remainder: Callable[..., Array] = discretization.warp_remainder
    second_order_term: Callable[..., Array] = discretization.second_order_term
    second_order_coefficient: Callable[[str], float] = discretization.second_order_coefficient
    decay_ratio: Callable[..., Array] = discretization.decay_ratio
    volume_factor: Callable[..., float] = bounds.volume_factor
    volume_strength: Callable[..., float] = volume_strength
    mean_scale_of_cell: Callable[..., float] = bounds.mean_scale_of_cell
    largest_scale: Callable[..., float] = bounds.largest_scale
    largest_step: Callable[..., float] = bounds.largest_step
    descent_bound: Callable[..., float] = bounds.descent_bound
    rate_bound: Callable[..., float] = bounds.rate_bound
    gradient_rate_bound: Callable[..., float] = bounds.gradient_rate_bound
    pl_rate: Callable[..., float] = bounds.pl_rate
    local_contraction: Callable[..., float] = bounds.local_contraction
    stochastic_bound: Callable[..., float] = bounds.stochastic_bound
    target_interval: Callable[..., tuple[Array, Array]] = barrier.target_interval
    mirror_divergence: Callable[..., float] = barrier.mirror_divergence
    box_bound: Callable[..., float] = barrier.box_bound
    stationary_cdf: Callable[..., Array] = clustering.stationary_cdf
    stationary_log_density: Callable[..., Array] = clustering.stationary_log_density
    log_distance_drift: Callable[..., float] = clustering.log_distance_drift
    expected_squared_error: Callable[..., float] = clustering.expected_squared_error
    soft_threshold: Callable[..., Array] = clustering.soft_threshold
    decay_equilibrium: Callable[..., float] = clustering.decay_equilibrium
    warped_hessian: Callable[..., Array] = curvature.warped_hessian
    psgd_linearisation: Callable[..., Array] = curvature.psgd_linearisation
    largest_stable_step: Callable[..., float] = curvature.largest_stable_step
    largest_stable_curvature: Callable[..., float] = curvature.largest_stable_curvature
    quantization_loss: Callable[..., float] = curvature.quantization_loss
    powerpropagation_scale: Callable[..., Array] = reparametrisation.powerpropagation_scale
    powerpropagation_alpha: Callable[[float], float] = reparametrisation.powerpropagation_alpha
    difference_of_squares_scale: Callable[..., Array] = reparametrisation.difference_of_squares_scale
    grid_decay_penalty: Callable[..., Array] = grid_decay.grid_decay_penalty
    grid_decay_slope: Callable[..., Array] = grid_decay.grid_decay_slope
    hold_factor: Callable[..., float] = grid_decay.hold_factor
    hold_distance: Callable[..., float] = grid_decay.hold_distance
    gathering_factor: Callable[..., float] = grid_decay.gathering_factor
    rounding_bound: Callable[..., float] = grid_decay.rounding_bound
    noise_decay: Callable[..., float] = noise.noise_decay
    noise_bias: Callable[..., float] = noise.noise_bias
    effective_diffusion: Callable[..., float] = escape.effective_diffusion
    escape_time: Callable[..., float] = escape.escape_time
    largest_stable_momentum_step: Callable[..., float] = averaging.largest_stable_momentum_step
    filter_invariant: Callable[..., Array] = invariant.filter_invariant


@dataclass(frozen=True)
class Subject:
    """The functions under test, by structure and not by inheritance: any callables that fit will do.

    None in the place of a part after `formulas` says that the subject has no such method.

    Parameters
    ----------
    name
        What reports call it.
    warp
        (targets, eps, strength, cap) → object with the methods of `psgd_ref.core.Warp`.
    scale
        (w, targets, eps, strength, cap) → s, shape of w; the rules of `position_scale`.
    psgd_step, warped_step, mirror_step
        (w, g, lr, warp) → new w. The warp given is this library's: read targets, eps, strength and cap
        from it, and use or ignore its methods.
    nearest
        (w, targets) → w̄, shape of w.
    formulas
        Closed forms and bounds to check the above against.
    laplace_clip
        bits → the α/b at which ACIQ's error formula for a Laplace variable is least (claim H2).
    nested_rounding
        (w, low, high, bits) → Bayesian Bits' sum with every gate open (claim H2).
    adaptive_magnitudes
        (bits, exponent_bits, largest exponent) → AdaptivFloat's magnitudes (claim H2).
    step_gradient
        (w, step, bits) → LSQ's gradient of the quantized value by the step, scaled (claim H2).
    decayed_step
        (w, g, lr, warp, κ) → new w, a step of PSGD with weight decay κ to zero (claim E4).
    grid_decayed_step
        The same with weight decay κ to the nearest target (claims E5, E6, D10).
    momentum_step
        (w, velocity, g, lr, warp, m, order) → new w and velocity, the scale "before" the average or
        "after" it, as in `core.dynamics.averaging` (claims D8, D9, F4, I1).
    adam_step
        (w, moments, g, lr, warp, order) → new w and moments, with Adam's ε 0 (claim D8).
    quantizer
        targets → object with `levels`, `scale` and `codes` (claim H1), see `protocols`.
    prune
        (w, sparsity) → w with that fraction of zeros (claim G3).
    given
        The parts that are under test, by field name; None for all of them.
    quantization
        The quantizer among them in the form that it came in, for `describe`; None for none.
    calls
        Counts the calls of those parts, where they are known.
    address
        The code that stands for the subject where a counter-example is run again.
    """

    name: str = "psgd_ref"
    warp: Callable[..., Warp] = Warp
    scale: Callable[..., Array] = position_scale
    psgd_step: Step = psgd_step
    warped_step: Step = warped_step
    mirror_step: Step = mirror_step
    nearest: Callable[[Array, Targets], Array] = nearest
    formulas: Formulas = field(default_factory=Formulas)
    laplace_clip: Callable[[int], float] | None = None
    nested_rounding: Callable[[Array, float, float, int], Array] | None = None
    adaptive_magnitudes: Callable[[int, int, int], Array] | None = None
    step_gradient: Callable[[Array, float, int], Array] | None = None
    decayed_step: Callable[[Array, Array, float, Warp, float], Array] | None = None
    grid_decayed_step: Callable[[Array, Array, float, Warp, float], Array] | None = None
    momentum_step: Callable[..., tuple[Array, Array]] | None = None
    adam_step: Callable[..., tuple[Array, Moments]] | None = None
    quantizer: Callable[[Targets], Quantizer] | None = None
    prune: Callable[[Array, float], Array] | None = None
    given: frozenset[str] | None = None
    quantization: Quantization | None = None
    calls: Calls | None = None
    address: str = "subject"

    def decayed(self, w: Array, g: Array, lr: float, warp: Warp, weight_decay: float) -> Array:
        """A step with decay κ outside the scaling: the subject's own, or w⁺ − ηκw where it has none."""
        if self.decayed_step is not None:
            return self.decayed_step(w, g, lr, warp, weight_decay)
        return self.psgd_step(w, g, lr, warp) - lr * weight_decay * w

    def decayed_to_grid(self, w: Array, g: Array, lr: float, warp: Warp, weight_decay: float) -> Array:
        """A step with decay κ to the nearest target: the subject's own, or w⁺ − ηκ(w − w̄)."""
        if self.grid_decayed_step is not None:
            return self.grid_decayed_step(w, g, lr, warp, weight_decay)
        return self.psgd_step(w, g, lr, warp) - lr * weight_decay * (w - warp.targets.nearest(w))

    def averaged(
        self, w: Array, velocity: Array, g: Array, lr: float, warp: Warp, momentum: float, order: str
    ) -> tuple[Array, Array]:
        """A step with momentum: the subject's own, or its step within `core.dynamics.averaging`."""
        if self.momentum_step is not None:
            return self.momentum_step(w, velocity, g, lr, warp, momentum, order)
        return averaging.momentum_step(w, velocity, g, lr, warp, momentum, order, step=self.psgd_step)

    def adapted(
        self, w: Array, moments: Moments, g: Array, lr: float, warp: Warp, order: str
    ) -> tuple[Array, Moments]:
        """A step of Adam, its ε 0: the subject's own, or its step within `core.dynamics.averaging`."""
        if self.adam_step is not None:
            return self.adam_step(w, moments, g, lr, warp, order)
        return averaging.adam_step(w, moments, g, lr, warp, order, step=self.psgd_step)

    def with_formulas(self, **formulas: Callable[..., Any]) -> "Subject":
        """The same subject with some closed forms replaced."""
        return replace(self, formulas=replace(self.formulas, **formulas))


_registered: dict[str, Any] = {}
# The module whose `PARTS` complete this library's own subject. They live above the mathematics, which the
# laws must not import: it is loaded by its name, and only when that subject is asked for.
OWN_PARTS = "psgd_ref.own_subject"


def register(**parts: Any) -> None:
    """Add parts to the subject that is checked when none is named: `register(laplace_clip=my_clip)`.

    They take the place of the library's own.

    Parameters
    ----------
    **parts
        Fields of `Subject`.

    Raises
    ------
    ValueError
        For a name that is no field of `Subject`.
    """
    unknown = sorted(set(parts) - set(Subject.__dataclass_fields__))
    if unknown:
        accepted = ", ".join(Subject.__dataclass_fields__)
        raise ValueError(f"a subject has no part {', '.join(unknown)}; its parts are {accepted}")
    _registered.update(parts)


def reference() -> Subject:
    """This library's own subject, with everything registered so far."""
    own: dict[str, Any] = import_module(OWN_PARTS).PARTS
    return Subject(address="reference()", **{**own, **_registered})
