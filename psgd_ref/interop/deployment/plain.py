"""A network as a plain list of operations on (N, C, H, W): what runtimes run, batch norms folded in.

Exporters write this list and `emulation` computes it, so that a file can be checked against its own numbers.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import QuantizedModel, QuantizedTensor
from psgd_ref.compress.post_training.activations import UnsignedRounding
from psgd_ref.core.arguments import Array
from psgd_ref.interop.deployment.network import FIRST, LAST, Integers, Operation, Pair
from psgd_ref.interop.flattened import to_pytorch
from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Model,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Weighted,
)

LARGEST_ACTIVATION_BITS = 8
# Operations that do the same to every number, so that those of a flattened image keep their order.
_EACH = ("Relu", "LeakyRelu", "Clip", "Affine", "Quantize")


def operations(model: Model, shape: tuple[int, ...]) -> list[Operation]:
    """The network in evaluation, from the tensor "images" to the tensor "logits".

    Parameters
    ----------
    model
        A `QuantizedModel`, whose weights become `Integers`, or a model of floats. Inputs of layers may be
        rounded (`insert_input_quantizers`), to at most 8 bits.
    shape
        Of one image as the model takes it, (H, W, C), or (I,) for rows.

    Raises
    ------
    ValueError
        That names the layer, for what has no plain form: a quantizer that still learns, a grid that is not
        uniform, a layer of another kind; a weight that was changed after it was rounded.
    """
    quantized = model.integers() if isinstance(model, QuantizedModel) else {}
    builder = _Builder(quantized)
    channels_first: tuple[int, ...] = shape if len(shape) == 1 else (shape[2], shape[0], shape[1])
    builder.layer(model.net, "", FIRST, channels_first)
    last = builder.found[-1]
    builder.found[-1] = replace(last, output=LAST)
    return builder.found


class _Builder:
    """Walks the layers and collects operations; each step returns the output's name and shape."""

    def __init__(self, quantized: Mapping[str, QuantizedTensor]) -> None:
        self.quantized = quantized
        self.found: list[Operation] = []
        # Tensors in the order of a flattened image, with its channels.
        self.flattened: dict[str, int] = {}

    def layer(self, layer: Layer, name: str, x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        match layer:
            case Sequential():
                return self._sequence(layer.layers, name, x, shape)
            case Residual():
                return self._residual(layer, name, x, shape)
            case Conv2d() | Linear():
                return self._weighted(layer, name, None, x, shape)
            case BatchNorm():
                return self._norm(layer, name, x, shape)
            case ReLU():
                return self._add(Operation("Relu", (x,), self._new(name), name), shape)
            case ReLU6():
                return self._add(Operation("Clip", (x,), self._new(name), name, top=6.0), shape)
            case LeakyReLU():
                slope = layer.negative_slope
                return self._add(Operation("LeakyRelu", (x,), self._new(name), name, slope=slope), shape)
            case Dropout():
                return x, shape
            case MaxPool2d() | AvgPool2d():
                kind = "MaxPool" if isinstance(layer, MaxPool2d) else "AveragePool"
                window: dict[str, Any] = {
                    "size": layer.size,
                    "stride": layer.stride,
                    "padding": layer.padding,
                }
                pooled_shape = (shape[0], *_window(shape[1:], layer.size, layer.stride, layer.padding))
                return self._add(Operation(kind, (x,), self._new(name), name, **window), pooled_shape)
            case GlobalAvgPool():
                pooled, _ = self._add(Operation("GlobalAveragePool", (x,), self._new(name), name), shape)
                flat = Operation("Flatten", (pooled,), self._new(f"{name}_flat"), f"{name}_flat")
                return self._add(flat, shape[:1])
            case Flatten():
                y, out = self._add(Operation("Flatten", (x,), self._new(name), name), (prod(shape),))
                if len(shape) > 1:
                    self.flattened[y] = shape[0]
                return y, out
        raise ValueError(f"layer {name} is a {type(layer).__name__}, which has no plain form to export")

    def _sequence(
        self, layers: Mapping[str, Layer], name: str, x: str, shape: tuple[int, ...]
    ) -> tuple[str, tuple[int, ...]]:
        items = list(layers.items())
        i = 0
        while i < len(items):
            child, layer = items[i]
            following = items[i + 1][1] if i + 1 < len(items) else None
            if isinstance(layer, Weighted) and isinstance(following, BatchNorm):
                x, shape = self._weighted(layer, _join(name, child), following, x, shape)
                if following.relu:
                    after = _join(name, items[i + 1][0])
                    x, shape = self._add(Operation("Relu", (x,), self._new(after), after), shape)
                i += 1
            else:
                x, shape = self.layer(layer, _join(name, child), x, shape)
            i += 1
        return x, shape

    def _residual(
        self, layer: Residual, name: str, x: str, shape: tuple[int, ...]
    ) -> tuple[str, tuple[int, ...]]:
        body = {**layer.body.layers, layer.norm_name: _WithoutRelu(layer.norm)}
        main, out = self._sequence(body, name, x, shape)
        side = (
            x
            if layer.shortcut is None
            else self.layer(layer.shortcut, _join(name, layer.shortcut_name), x, shape)[0]
        )
        added, _ = self._add(Operation("Add", (main, side), self._new(f"{name}_add"), f"{name}_add"), out)
        if not layer.norm.relu:
            return added, out
        return self._add(Operation("Relu", (added,), self._new(f"{name}_relu"), f"{name}_relu"), out)

    def _weighted(
        self, layer: Weighted, name: str, norm: BatchNorm | None, x: str, shape: tuple[int, ...]
    ) -> tuple[str, tuple[int, ...]]:
        if layer.weight_quantizer is not None:
            raise ValueError(f"layer {name} holds a quantizer of its weights; quantize the model first")
        x = self._rounded(layer.input_quantizer, name, x, shape)
        factor, bias = _folded(layer, norm)
        weight = self._weight(layer, name, factor, self.flattened.get(x))
        if isinstance(layer, Linear):
            return self._add(Operation("Gemm", (x,), self._new(name), name, weight, bias), (len(bias),))
        assert isinstance(layer, Conv2d)
        out = (len(bias), *_window(shape[1:], layer.size, layer.stride, layer.padding))
        out = (out[0], out[1] - layer.surplus[0], out[2] - layer.surplus[1])
        window: dict[str, Any] = {"size": layer.size, "stride": layer.stride, "padding": layer.padding}
        window |= {"surplus": layer.surplus, "groups": layer.groups}
        return self._add(Operation("Conv", (x,), self._new(name), name, weight, bias, **window), out)

    def _weight(
        self, layer: Weighted, name: str, factor: Array, channels: int | None
    ) -> Integers | npt.NDArray[np.float32]:
        tensor = self.quantized.get(f"{name}.weight")
        if tensor is None:
            scaled = _layout(layer.weight.value.astype(np.float64) * factor, channels)
            return scaled.astype(np.float32)
        if tensor.levels is not None or tensor.shift is not None:
            raise ValueError(
                f"{name}.weight has {'a table of levels' if tensor.shift is None else 'corrected channels'}; "
                "codes times a scale can be exported"
            )
        scale = tensor.scale.astype(np.float64)
        # One number a layer stays one number where no batch norm gives each channel its own.
        if np.any(factor != 1):
            scale = np.broadcast_to(scale, factor.shape) * factor
        return Integers(_layout(tensor.codes, channels), scale.astype(np.float32), tensor.bits)

    def _rounded(self, quantizer: Layer | None, name: str, x: str, shape: tuple[int, ...]) -> str:
        if quantizer is None:
            return x
        if not isinstance(quantizer, UnsignedRounding):
            kind = type(quantizer).__name__
            raise ValueError(f"the input of {name} is rounded by {kind}; unsigned codes can be exported")
        if quantizer.bits > LARGEST_ACTIVATION_BITS:
            raise ValueError(
                f"the input of {name} is rounded to {quantizer.bits} bits; at most 8 are accepted"
            )
        new = self._new(f"{name}_input")
        step = float(np.float32(quantizer.scale))
        return self._add(
            Operation("Quantize", (x,), new, f"{name}_input", step=step, levels=quantizer.levels), shape
        )[0]

    def _norm(
        self, layer: BatchNorm, name: str, x: str, shape: tuple[int, ...]
    ) -> tuple[str, tuple[int, ...]]:
        factor = _factor(layer)
        bias = (layer.bias.value - layer.running_mean * factor).astype(np.float32)
        factor, bias = (to_pytorch(values, self.flattened.get(x)) for values in (factor, bias))
        affine = Operation("Affine", (x,), self._new(name), name, factor.astype(np.float32), bias)
        y, shape = self._add(affine, shape)
        if not layer.relu:
            return y, shape
        return self._add(Operation("Relu", (y,), self._new(f"{name}_relu"), f"{name}_relu"), shape)

    def _add(self, operation: Operation, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        self.found.append(operation)
        if operation.inputs[0] in self.flattened and operation.kind in _EACH:
            self.flattened[operation.output] = self.flattened[operation.inputs[0]]
        return operation.output, shape

    def _new(self, name: str) -> str:
        return f"{name or 'net'}:out"


def _WithoutRelu(norm: BatchNorm) -> BatchNorm:  # noqa: N802
    """The same batch norm before the sum, where its ReLU does not act yet."""
    plain = BatchNorm(norm.weight.shape[0])
    plain.__dict__.update({**norm.__dict__, "relu": False})
    return plain


def _factor(norm: BatchNorm) -> npt.NDArray[np.float64]:
    return np.asarray(norm.weight.value / np.sqrt(norm.running_var.astype(np.float64) + norm.eps))


def _folded(
    layer: Weighted, norm: BatchNorm | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """What each output channel is multiplied by, and the bias of layer and batch norm together."""
    outputs = layer.weight.shape[-1]
    bias = np.zeros(outputs) if layer.bias is None else layer.bias.value.astype(np.float64)
    if norm is None:
        return np.ones(outputs), bias.astype(np.float32)
    factor = _factor(norm)
    return factor, ((bias - norm.running_mean) * factor + norm.bias.value).astype(np.float32)


def _layout(weight: npt.NDArray[Any], channels: int | None) -> npt.NDArray[Any]:
    """HWIO to OIHW, or (I, O) to (O, I), its inputs in the order (C, H, W) of an image that was flattened."""
    if weight.ndim == 4:
        return np.ascontiguousarray(weight.transpose(3, 2, 0, 1))
    return np.ascontiguousarray(to_pytorch(weight, channels).T)


def _window(shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Pair:
    height, width = (
        (full + 2 * p - k) // s + 1 for full, k, s, p in zip(shape, size, stride, padding, strict=True)
    )
    return height, width


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
