"""Quantization of a trained model: a copy whose weights are integers times a scale."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from psgd_ref.compress.grids.base import Grid, check_rule
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.compress.parametrization import remove_parametrizations
from psgd_ref.compress.post_training.tensor import QuantizedTensor, correct_channels, quantize_tensor
from psgd_ref.compress.selection import assign, layer_name, outer_layers
from psgd_ref.core.arguments import choice
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

Assignment = Mapping[str, Grid | Sequence[Grid]]
CORRECTIONS = ("none", "mean", "mean and std")


class QuantizedModel(Model):
    """A copy of a model whose parameters lie on the levels of their grids.

    The weights that the model computes with are rounded: where a quantizer or another layer stands before a
    weight, its output is, and the copy has no such layer.

    Parameters
    ----------
    grid
        One rule for all (8 bits in the first and last layer below 4), or a rule, or one for each
        channel, by parameter name; parameters without a rule stay as they are.
    correction
        See `quantize`.
    quantized
        The integers of every quantized parameter, by name.
    """

    def __init__(self, model: Model, grid: Grid | Assignment, correction: str = "none") -> None:
        choice("correction", correction, CORRECTIONS)
        if model.mask is not None and correction != "none":
            raise ValueError(
                f"correction {correction!r} would move a pruned model's weights off 0; accepted is none"
            )
        super().__setstate__(remove_parametrizations(model).__getstate__())
        rules: Assignment = (
            grid
            if isinstance(grid, Mapping)
            else {segment.name: rule for segment, rule in assign(self, grid)}
        )
        self.quantized: dict[str, QuantizedTensor] = {}
        self.round(self, rules, correction)

    def round(self, model: Model, rules: Assignment, correction: str = "none") -> None:
        """Take the named parameters of `model`, rounded to their grids; everything else stays."""
        for name, rule in rules.items():
            w = model.segment(name).view(model.w)
            tensor = quantize_tensor(w, rule)
            if correction != "none":
                tensor = correct_channels(tensor, w, std=correction == "mean and std")
            self.quantized[name] = tensor
            self.segment(name).view(self.w)[...] = tensor.values

    @property
    def weight_bits(self) -> dict[str, int]:
        """Bit-widths of the parameters that lie on their grids, by name."""
        return {name: tensor.bits for name, tensor in self.quantized.items() if self._rounded(name)}

    def integers(self) -> dict[str, QuantizedTensor]:
        """The integers of every quantized parameter, by name, as `quantized` has them.

        Raises
        ------
        ValueError
            For a parameter that was changed after it was rounded (trained, pruned, loaded).
        """
        for name in self.quantized:
            if not self._rounded(name):
                raise ValueError(f"{name} was changed after it was rounded; quantize the model again")
        return self.quantized

    def _rounded(self, name: str) -> bool:
        """Whether a quantized parameter still has the values of its integers."""
        return np.array_equal(self.quantized[name].values, self.segment(name).view(self.w))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the integers and all that goes with them to a file: `psgd_ref.save(self, path)`."""
        from psgd_ref.interop.model_file import save

        save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "quantized": self.quantized}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.quantized = dict(state["quantized"])


def quantize(
    model: Model,
    bits: int = 4,
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    correction: str = "none",
) -> QuantizedModel:
    """A new model with its weights rounded to b bits; the given one stays as it is.

    Biases and batch norms stay in full precision, the latter with their statistics (see
    `reestimate_batch_norm`). Every grid has a level at 0, so pruned weights stay pruned; a correction would
    move them, and is refused for a pruned model.

    Parameters
    ----------
    model
        Without fake quantizers; parametrizations are removed in the new one.
    bits
        2 … 16; below 4 the first and last layer keep 8, as in the official code.
    grid
        `MinMaxGrid`, `MSEGrid` or another rule that takes bits and per_channel.
    per_channel
        Fit a grid to each output channel instead of each tensor.
    correction
        Restore the "mean" of each output channel, or its "mean and std" (see `correct_channels`).

    Raises
    ------
    ValueError
        For other values and for weights that are not finite.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> quantized = pr.quantize(pr.models.mlp((4, 3, 2)), bits=4)
    >>> quantized
    QuantizedModel: 23 parameters, float32
    layer    kind          output  parameters  bits
    flatten  Flatten()     ?
    fc1      Linear(4, 3)  3       15          W4
    relu1    ReLU()        3
    fc2      Linear(3, 2)  2       8           W4
    >>> int(abs(quantized.quantized["fc1.weight"].codes).max())
    7
    """
    check_model(model)
    check_rule(grid)
    return QuantizedModel(model, grid(bits, per_channel), correction)


def relative_error(model: Model, quantized: QuantizedModel) -> float:
    """Mean of (w − Q(w))² over all weights, relative to Δ²/12, that of a weight uniform in its cell.

    Each weight's error is divided by the Δ²/12 of its tensor, channel or, on an uneven grid, cell first.
    First and last layer are left out, so that all widths compare the same weights.

    Returns
    -------
    1 means that training left no mark; NaN where no weights are compared.
    """
    check_model(model)
    ratios, plain = [], remove_parametrizations(model)
    for name, tensor in quantized.quantized.items():
        segment = plain.segment(name)
        if layer_name(segment) not in outer_layers(plain):
            w = segment.view(plain.w).astype(np.float64)
            ratios.append(((w - tensor.values) ** 2 / tensor.uniform_variance).ravel())
    return float(np.concatenate(ratios).mean()) if ratios else float("nan")
