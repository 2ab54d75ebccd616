"""An ONNX file in the form that `export_onnx` writes, as a list of operations again."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.interop.deployment.network import FIRST, LAST, Integers, Operation, Pair

Attributes = Mapping[str, Any]
# What other values of an attribute would mean is not written, and so not read.
_FIXED: dict[str, Attributes] = {
    "Conv": {"auto_pad": "NOTSET", "dilations": [1, 1]},
    "Gemm": {"transA": 0, "transB": 1, "alpha": 1.0, "beta": 1.0},
    "MaxPool": {"auto_pad": "NOTSET", "dilations": [1, 1], "ceil_mode": 0, "storage_order": 0},
    "AveragePool": {"auto_pad": "NOTSET", "dilations": [1, 1], "ceil_mode": 0},
    "Flatten": {"axis": 1},
    "BatchNormalization": {"training_mode": 0},
}
# Where a node does not say it, and 1 of both axes is not what is meant.
_DEFAULTS: dict[str, Attributes] = {
    "Gemm": {"transB": 0},
    "BatchNormalization": {"epsilon": 1e-5},
    "LeakyRelu": {"alpha": 0.01},
}


def read_onnx(path: str | os.PathLike[str]) -> tuple[list[Operation], tuple[int, ...]]:
    """The operations of an ONNX file, for the emulation, and the shape of one image, (C, H, W) or (I,).

    Raises
    ------
    ValueError
        For a file that is damaged, and for a network of other operations than `export_onnx` writes, by name.
    ImportError
        Without the package onnx (extra `export`).
    OSError
        When it cannot be read.
    """
    import onnx

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; an ONNX file is accepted")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's are no common kind
        raise ValueError(f"{path} is not an ONNX file: {' '.join(str(error).split())[:200]}") from None
    try:
        return _Reader(model.graph).operations()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class _Reader:
    """Walks the nodes, which ONNX keeps in the order of computation."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        if len(graph.input) != 1 or len(graph.output) != 1:
            raise ValueError("a network of one input and one output is accepted")
        self.nodes = graph.node
        dims = graph.input[0].type.tensor_type.shape.dim
        self.shape = tuple(dim.dim_value for dim in dims[1:])
        if len(self.shape) not in (1, 3) or not all(self.shape):
            raise ValueError(f"its input must be (N, C, H, W) or (N, I) of known sizes; got {self.shape}")
        self.names = {graph.input[0].name: FIRST, graph.output[0].name: LAST}
        self.constants: dict[str, Any] = {
            each.name: numpy_helper.to_array(each) for each in graph.initializer
        }
        # What stands between a QuantizeLinear and its DequantizeLinear, by name.
        self.between: dict[str, Operation] = {}

    def operations(self) -> tuple[list[Operation], tuple[int, ...]]:
        found = [operation for node in self.nodes if (operation := self._operation(node)) is not None]
        return found, self.shape

    def _operation(self, node: Any) -> Operation | None:
        from onnx.helper import get_attribute_value

        if node.op_type not in _RULES or node.domain not in ("", "ai.onnx"):
            raise ValueError(
                f"node {node.name or node.output[0]} is a {node.op_type}, which the emulation does not know; "
                f"it knows {', '.join(_RULES)}"
            )
        given = {each.name: get_attribute_value(each) for each in node.attribute}
        given = {key: value.decode() if isinstance(value, bytes) else value for key, value in given.items()}
        attributes = {**_DEFAULTS.get(node.op_type, {}), **given}
        for name, wanted in _FIXED.get(node.op_type, {}).items():
            if attributes.get(name, wanted) != wanted:
                raise ValueError(
                    f"node {node.name}: {name} must be {wanted} in a {node.op_type}; got {attributes[name]}"
                )
        return _RULES[node.op_type](self, node, attributes)

    def tensor(self, name: str) -> str:
        """The name of a tensor that is computed."""
        if name in self.constants:
            raise ValueError(f"{name} is a constant, where the emulation takes what was computed")
        return self.names.get(name, name)

    def constant(self, node: Any, place: int) -> Any:
        """An input that the file holds."""
        name = node.input[place] if len(node.input) > place else ""
        if name not in self.constants:
            raise ValueError(f"node {node.name}: input {place} of a {node.op_type} must be a constant")
        return self.constants[name]

    def bias(self, node: Any, outputs: int) -> npt.NDArray[np.float32]:
        if len(node.input) > 2 and node.input[2]:
            return np.broadcast_to(np.asarray(self.constant(node, 2), np.float32).ravel(), (outputs,))
        return np.zeros(outputs, np.float32)

    def made(self, kind: str, node: Any, **options: Any) -> Operation:
        """An operation on the node's first input."""
        output = self.tensor(node.output[0])
        return Operation(kind, (self.tensor(node.input[0]),), output, node.name, **options)


def _window(attributes: Attributes, node: Any) -> dict[str, Pair]:
    """Size, stride, padding at the bottom and right, and by how much it is less at the top and left."""
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    surplus = (pads[2] - pads[0], pads[3] - pads[1])
    if min(surplus) < 0:
        raise ValueError(f"node {node.name}: pads must not be larger at the top or left; got {list(pads)}")
    size, stride = (tuple(attributes.get(key, (1, 1))) for key in ("kernel_shape", "strides"))
    return {"size": size, "stride": stride, "padding": pads[2:], "surplus": surplus}


def _conv(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    weight = reader.constant(node, 1)
    outputs = len(weight.codes if isinstance(weight, Integers) else weight)
    window = _window({"kernel_shape": (1, 1), **attributes}, node)
    # The size is the weight's own.
    return reader.made(
        "Conv",
        node,
        weight=weight,
        bias=reader.bias(node, outputs),
        groups=attributes.get("group", 1),
        **{**window, "size": (1, 1)},
    )


def _gemm(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    weight = reader.constant(node, 1)
    outputs = len(weight.codes if isinstance(weight, Integers) else weight)
    return reader.made("Gemm", node, weight=weight, bias=reader.bias(node, outputs))


def _pool(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    window = _window(attributes, node)
    counted = node.op_type == "MaxPool" or attributes.get("count_include_pad", 0) == 1
    if any(window["surplus"]) or (any(window["padding"]) and not counted):
        raise ValueError(f"node {node.name}: pads must be even and counted in a mean")
    return reader.made(node.op_type, node, **window)


def _clip(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    if reader.constant(node, 1) != 0:
        raise ValueError(f"node {node.name}: a Clip must begin at 0")
    return reader.made("Clip", node, top=float(reader.constant(node, 2)))


def _norm(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    scale, shift, mean, variance = (reader.constant(node, place).astype(np.float64) for place in range(1, 5))
    factor = scale / np.sqrt(variance + attributes["epsilon"])
    return reader.made("Affine", node, weight=factor, bias=shift - mean * factor)


def _add(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    inputs = tuple(reader.tensor(name) for name in node.input)
    return Operation("Add", inputs, reader.tensor(node.output[0]), node.name)


def _quantize(reader: _Reader, node: Any, attributes: Attributes) -> None:
    step, zero = np.asarray(reader.constant(node, 1)), np.asarray(reader.constant(node, 2))
    if step.size != 1 or zero.dtype != np.uint8 or zero.any():
        raise ValueError(
            f"node {node.name}: activations must be rounded to uint8 with one step and zero point 0"
        )
    reader.between[node.output[0]] = reader.made("Quantize", node, step=float(step.item()), levels=255)


def _dequantize(reader: _Reader, node: Any, attributes: Attributes) -> Operation | None:
    if node.input[0] in reader.between:
        rounding = reader.between[node.input[0]]
        if float(np.asarray(reader.constant(node, 1)).item()) != rounding.step:
            raise ValueError(f"node {node.name}: its step must be that of the QuantizeLinear before it")
        return replace(rounding, output=reader.tensor(node.output[0]))
    reader.constants[node.output[0]] = _integers(reader, node, attributes)
    return None


def _integers(reader: _Reader, node: Any, attributes: Attributes) -> Integers:
    stored, scale = reader.constant(node, 0), np.asarray(reader.constant(node, 1), np.float32)
    zero = np.asarray(reader.constant(node, 2)) if len(node.input) > 2 else np.zeros((), np.int8)
    bits = {"int8": 8, "int4": 4, "int2": 2}.get(str(stored.dtype))
    if bits is None or zero.astype(np.int8).any() or attributes.get("block_size", 0):
        raise ValueError(
            f"node {node.name}: weights must be INT8, INT4 or INT2 with zero points 0 and no blocks; got "
            f"{stored.dtype}"
        )
    if scale.ndim > 1 or (scale.ndim and (attributes.get("axis", 1) != 0 or len(scale) != len(stored))):
        raise ValueError(f"node {node.name}: a scale must be one number or one for each output, axis 0")
    return Integers(stored.astype(np.int8), scale.reshape(()) if scale.size == 1 else scale, bits)


def _same(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    return reader.made(node.op_type, node)


def _leaky(reader: _Reader, node: Any, attributes: Attributes) -> Operation:
    return reader.made("LeakyRelu", node, slope=attributes["alpha"])


_RULES: dict[str, Callable[[_Reader, Any, Attributes], Operation | None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "Clip": _clip,
    "BatchNormalization": _norm,
    "Add": _add,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "LeakyRelu": _leaky,
    **dict.fromkeys(("Relu", "GlobalAveragePool", "Flatten"), _same),
}
