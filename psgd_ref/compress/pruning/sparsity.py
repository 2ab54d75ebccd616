"""How sparse a model is, layer by layer and in all, as numbers and as text."""

from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.selection import weight_segments
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


@dataclass(frozen=True)
class LayerSparsity:
    """The weights of one layer, or of all.

    Attributes
    ----------
    weights
        How many there are.
    pruned
        How many the model's mask holds at 0.
    zeros
        How many are 0, those included; quantization adds some.
    """

    name: str
    weights: int
    pruned: int
    zeros: int

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are 0, 0 … 1."""
        return self.zeros / max(self.weights, 1)


def layer_sparsities(model: Model) -> list[LayerSparsity]:
    """One entry for each layer with a weight, and a last one, "all", for their sum."""
    mask = np.ones(model.w.size, bool) if model.mask is None else model.mask
    layers = [
        LayerSparsity(
            segment.name,
            segment.stop - segment.start,
            int((~mask[segment.span]).sum()),
            int((model.w[segment.span] == 0).sum()),
        )
        for segment in weight_segments(model)
    ]
    counts = [sum(getattr(layer, name) for layer in layers) for name in ("weights", "pruned", "zeros")]
    return [*layers, LayerSparsity("all", *counts)]


def sparsity(model: Model) -> float:
    """Fraction of all weights (no biases, no batch norms) that are 0, 0 … 1."""
    check_model(model)
    return layer_sparsities(model)[-1].sparsity


def sparsity_report(model: Model) -> str:
    """`layer_sparsities` as a Markdown table."""
    check_model(model)
    lines = ["| parameter | weights | pruned | zeros | sparsity |", "|---|---:|---:|---:|---:|"]
    for layer in layer_sparsities(model):
        counts = f"{layer.weights:,} | {layer.pruned:,} | {layer.zeros:,}"
        lines.append(f"| {layer.name} | {counts} | {layer.sparsity:.2%} |")
    return "\n".join(lines)
