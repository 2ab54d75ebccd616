"""Bayesian Bits: the number of bits is learned, by gates on residuals (van Baalen et al. 2020)."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress import hard_concrete
from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer, fake_quantizers, gradient_scale
from psgd_ref.core.arguments import Array, choice, real_array, real_number
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.kernels.shapes import channels, floats, rows, shaped
from psgd_ref.nn import Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import Parameter, filled

WIDTHS = (2, 4, 8, 16)
FIRST_LOGIT = 6.0
# A gate stays open when P(z = 0) is below this.
THRESHOLD = 0.34


class BayesianBits(FakeQuantizer):
    """x ↦ z₂ (x₂ + z₄ (ε₄ + z₈ (ε₈ + …))): rounding to 2 bits, and its residuals to 4, 8, … bits.

    x₂ = s₂ round(x/s₂), ε_b = s_b round((x − x_{<b})/s_b), s₂ = (u − l)/3, s_b = s_{b/2}/(2^{b/2} + 1)

    In training the gates z are random (`hard_concrete`), with learned logits φ that begin at 6; in
    evaluation, and once `fixed`, a gate is open when P(z = 0) < 0.34. z₂ prunes: one for each output channel
    of a weight, none for an input.

    The number of draws is kept in `buffers()`, so that a resumed run draws the same. Rounding counts as the
    identity in the backward pass.

    Parameters
    ----------
    bits
        Of all gates open: 2, 4, 8 or 16.
    reach
        u > 0, learned; l = −u, or 0 unless `signed`.
    channels
        Output channels of a weight, 0 for an input, whose first axis counts images.

    Source
    ------
    van Baalen et al. 2020.
    """

    def __init__(self, bits: int, reach: float, signed: bool = True, channels: int = 0) -> None:
        if not isinstance(bits, int) or bits not in WIDTHS:
            raise ValueError(f"bits must be one of {', '.join(map(str, WIDTHS))}; got {bits!r}")
        self.bits, self.signed, self.channels = bits, signed, channels
        self.widths = WIDTHS[: WIDTHS.index(bits) + 1]
        self.count, self.fixed = np.zeros(()), False
        self.reach = Parameter((), "quantizer", filled(real_number("reach", reach, positive=True)))
        self.gates = Parameter((len(self.widths) - 1,), "gate", filled(FIRST_LOGIT))
        self.prune = Parameter((channels,), "gate", filled(FIRST_LOGIT))

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """[−max|w|, max|w|]."""
        w = real_array("w", w)
        if w.ndim == 0:
            raise ValueError("w must have an axis that counts channels; got one number")
        reach = max(float(np.abs(w).max(initial=0.0)), SMALLEST_STEP)
        return cls(bits, reach, channels=w.shape[-1])

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """Up to the largest magnitude; unsigned unless an input is negative."""
        reach = max(inputs.largest, -inputs.smallest, SMALLEST_STEP)
        return cls(bits, reach, signed=inputs.smallest < 0)

    @property
    def ends(self) -> tuple[float, float]:
        reach = max(float(self.reach.value), SMALLEST_STEP)
        return (-reach if self.signed else 0.0), reach

    def parameters(self) -> dict[str, Parameter]:
        own = {"reach": self.reach, "gates": self.gates}
        return {**own, "prune": self.prune} if self.channels else own

    def buffers(self) -> dict[str, Array]:
        return {"count": self.count}

    def open_gates(self) -> tuple[Array, Array]:
        """Which gates are open when nothing is random: those of the residuals, and those that prune."""
        prune = self.prune.value if self.channels else np.full(1, FIRST_LOGIT)
        return tuple(
            hard_concrete.probability_on(phi)[0] > 1 - THRESHOLD for phi in (self.gates.value, prune)
        )  # type: ignore[return-value]

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        if self.channels and rows("x", x) != self.channels:
            channels("x", x, self.channels)
        (z, dz), (prune, dprune) = self._draw(floats("x", x), training)
        inner = kernels.nested_round(x, *self.ends, z)
        y = inner * prune if self.channels else inner
        return y, (x, inner, z, dz, prune, dprune) if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        x, inner, z, dz, prune, dprune = cache
        shaped("dy", dy, x.shape)
        through = dy
        if self.channels:
            through = dy * prune
            self.prune.grad[...] = (dy * inner).sum(axis=tuple(range(dy.ndim - 1))) * dprune
        dx, shares, dreach = kernels.nested_round_backward(through, x, *self.ends, z)
        # ∂/∂z_j: the products of the gates from j on, without z_j itself.
        for j in range(len(z)):
            rest = np.cumprod(np.where(np.arange(len(z)) == j, 1, z))
            self.gates.grad[j] = float(shares[j:] @ rest[j:]) * dz[j]
        self.reach.grad[...] = dreach * gradient_scale(x, self.channels == 0, 2 ** (self.bits - 1))
        return dx

    def _draw(self, x: Array, training: bool) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Gates and their derivatives with respect to the logits: of the residuals, and those that prune."""
        if not training or self.fixed:
            opened = (gates.astype(x.dtype) for gates in self.open_gates())
            first, second = ((z, np.zeros_like(z)) for z in opened)
            return first, second
        u = hard_concrete.uniform(self.seed, int(self.count), (len(self.gates.value) + self.channels,))
        self.count += 1
        residual, prune = np.split(u, [len(self.gates.value)])
        one = (np.ones(1, x.dtype), np.zeros(1, x.dtype))
        return (
            hard_concrete.gate(self.gates.value, residual),
            hard_concrete.gate(self.prune.value, prune) if self.channels else one,
        )


def nested_rounding(w: Array, low: float, high: float, bits: int) -> Array:
    """The sum with every gate open, clipped to the range: plain rounding to `bits` bits, claim H2."""
    choice("bits", str(bits), tuple(map(str, WIDTHS)))
    return kernels.nested_round(real_array("w", w).astype(np.float64), low, high, np.ones(WIDTHS.index(bits)))


@dataclass(frozen=True)
class BitCost:
    """The regulariser: μ Σ_k Σ_b (MACs_k / max MACs) b Π_{j ≤ b} P(z_j > 0), a `Penalty`.

    The product over the gates of pruned channels is their mean. A quantizer whose gates are fixed adds
    nothing.

    Parameters
    ----------
    strength
        μ ≥ 0.
    macs
        Multiplications of each layer for one image, by name (`multiplications`).
    """

    strength: float
    macs: dict[str, int]

    def __call__(self, model: Model, step: int) -> float:
        largest, total = max(self.macs.values()), 0.0
        for each, quantizer in fake_quantizers(model):
            if isinstance(quantizer, BayesianBits) and not quantizer.fixed:
                total += _add_cost(quantizer, self.strength * self.macs[each.name] / largest)
        return total


def _add_cost(quantizer: BayesianBits, strength: float) -> float:
    on, slope = hard_concrete.probability_on(quantizer.gates.value.astype(np.float64))
    if quantizer.channels:
        kept, kept_slope = hard_concrete.probability_on(quantizer.prune.value.astype(np.float64))
    else:
        kept, kept_slope = np.ones(1), np.zeros(1)
    widths = np.array(quantizer.widths, float)
    # Bits that the gates open on average, 2 + 4 q₄ + 8 q₄q₈ + …, given that the channel is kept.
    products = np.concatenate([[1.0], np.cumprod(on)])
    bits = float(widths @ products)
    for j in range(len(on)):
        quantizer.gates.grad[j] += (
            strength * kept.mean() * float(widths[j + 1 :] @ products[j + 1 :]) / on[j] * slope[j]
        )
    if quantizer.channels:
        quantizer.prune.grad[...] += strength * bits * kept_slope / kept.size
    return strength * bits * float(kept.mean())


def fix_gates(model: Model) -> None:
    """End of the first phase: every gate is open or shut from now on, in training too. Modifies the model."""
    check_model(model)
    for _, quantizer in fake_quantizers(model):
        if isinstance(quantizer, BayesianBits):
            quantizer.fixed = True


def chosen_bits(model: Model) -> dict[str, tuple[int, float]]:
    """Bits and the fraction of channels kept (0 … 1), by layer name and what is quantized."""
    check_model(model)
    found = {}
    for each, quantizer in fake_quantizers(model):
        if isinstance(quantizer, BayesianBits):
            gates, prune = quantizer.open_gates()
            opened = int(np.cumprod(gates).sum())
            name = f"{each.name}.{'weight' if quantizer.channels else 'input'}"
            found[name] = (quantizer.widths[opened], float(prune.mean()))
    return found
