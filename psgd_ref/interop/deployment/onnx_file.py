"""A network as an ONNX file that runtimes read faithfully: integer weights, and floats or bytes between."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import Grid, MinMaxGrid
from psgd_ref.core.arguments import Array, choice
from psgd_ref.interop.deployment.emulation import emulate
from psgd_ref.interop.deployment.network import FIRST, LAST, Integers, Operation
from psgd_ref.interop.deployment.packing import pack
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first, prepare
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.nn import Model

# Bits of a container, and the opset and file format in which DequantizeLinear takes it; onnxruntime 1.31
# reads no later opset than 26 and no later format than 13.
CONTAINERS = {"int8": (8, 21, 10), "int4": (4, 21, 10), "int2": (2, 25, 13)}
# Beyond it the sum of two products of a weight with a byte can leave 16 bits.
SAFE_CODE = 64
# Of the largest logit: float32's rounding in a few dozen layers, far below a step of any grid.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    path, bytes
        The file and its size.
    error
        Largest difference between onnxruntime's logits and the emulation's, relative to the largest logit;
        None where onnxruntime is not installed.
    warnings
        What some runtimes do with such a file.
    """

    path: Path
    bytes: int
    error: float | None
    warnings: tuple[str, ...]


def export_onnx(
    model: Model,
    path: str | os.PathLike[str],
    images: Array,
    *,
    bits: int | None = None,
    activation_bits: int | None = None,
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    container: str = "int8",
) -> Exported:
    """Write a network as ONNX, its weights as integers, and check the file before it takes its name.

    The form is one that many runtimes read faithfully (notebooks/runtimes/table.md): opset 21, IR 10, codes
    in raw data, batch norms folded into scales and biases, DequantizeLinear with zero points present, its
    scale repeated for each output channel before Conv and one number before Gemm with transB = 1. The input
    "images" is (N, C, H, W) float32, normalised as the model's training images were; the output is "logits".
    The codes are those of `quantize`, bit for bit.

    Parameters
    ----------
    model
        A trained model, or a `QuantizedModel`, whose integers are taken as they are.
    images
        A few images as the model takes them, (N, H, W, C) or (N, I): they give the input's shape, the
        ranges of activations, and what the file is tried on.
    bits, grid, per_channel
        For `quantize`, if the model is not quantized yet; without bits the weights stay floats.
    activation_bits
        Also round the inputs of layers, to 1 … 8 bits (QuantizeLinear and DequantizeLinear).
    container
        "int8"; "int4" and "int2" pack the codes that fit, and fewer runtimes read them.

    Raises
    ------
    ValueError
        For what has no such form, by the layer's name, and when the file does not compute what it should;
        nothing is written then.
    ImportError
        Without the package onnx (extra `export`).
    """
    check_container(container, bits)
    if len(images) == 0:
        raise ValueError("images must not be empty; at least one is needed to check the file")
    prepared = prepare(model, images, bits, activation_bits, grid, per_channel)
    network = operations(prepared, images.shape[1:])
    content, warnings = onnx_bytes(network, channels_first(images[:1]).shape[1:], container)
    target = Path(path)
    with whole_file(target) as beside:
        beside.write_bytes(content)
        error = _checked(beside, network, images)
    return Exported(target, len(content), error, tuple(warnings))


def check_container(container: str, bits: int | None) -> None:
    """Raise ValueError for another container, and for one that no weights of so many bits fit."""
    width = CONTAINERS[choice("container", container, tuple(CONTAINERS))][0]
    if bits is not None and bits > width:
        raise ValueError(f"container {container} holds codes of at most {width} bits; got {bits} bits")


def onnx_bytes(
    network: Sequence[Operation], shape: tuple[int, ...], container: str = "int8"
) -> tuple[bytes, list[str]]:
    """The operations as the content of an ONNX file, and what some runtimes do with it.

    Parameters
    ----------
    shape
        Of one image, (C, H, W) or (I,).
    container
        As in `export_onnx`.
    """
    import onnx

    writer = _Writer(container)
    for operation in network:
        writer.add(operation)
    _, opset, version = CONTAINERS[writer.widest_opset]
    outputs = emulate(network, np.zeros((1, *shape))).shape[1:]
    describe = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        writer.nodes,
        "psgd_ref",
        [describe(FIRST, onnx.TensorProto.FLOAT, ["N", *shape])],
        [describe(LAST, onnx.TensorProto.FLOAT, ["N", *outputs])],
        writer.initializers,
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    made = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="psgd_ref", ir_version=version)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(), writer.warnings


class _Writer:
    """Nodes and initializers, operation by operation."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.warnings: list[str] = []
        self.widest_opset = "int8"
        self.whole_bytes: set[str] = set()  # activations whose codes take all of a byte

    def add(self, o: Operation) -> None:
        match o.kind:
            case "Conv" | "Gemm":
                pads = [*np.subtract(o.padding, o.surplus).tolist(), *o.padding]
                window: dict[str, Any] = {
                    "kernel_shape": list(o.weight_shape[2:]),
                    "strides": list(o.stride),
                    "pads": pads,
                }
                options = dict(group=o.groups, **window) if o.kind == "Conv" else {"transB": 1}
                self._warn_of_saturation(o)
                self._node(o.kind, [*o.inputs, self._weight(o), self._bias(o)], o, **options)
            case "MaxPool" | "AveragePool":
                window = {"kernel_shape": list(o.size), "strides": list(o.stride), "pads": [*o.padding] * 2}
                window |= {"count_include_pad": 1} if o.kind == "AveragePool" else {}
                self._node(o.kind, o.inputs, o, **window)
            case "LeakyRelu":
                self._node("LeakyRelu", o.inputs, o, alpha=o.slope)
            case "Clip":
                ends = [self._floats(f"{o.name}_{x:g}", x) for x in np.array([0.0, o.top], np.float32)]
                self._node("Clip", [*o.inputs, *ends], o)
            case "Affine":
                self._affine(o)
            case "Quantize":
                self._quantize(o)
            case _:
                self._node(o.kind, o.inputs, o)

    def _weight(self, o: Operation) -> str:
        name, weight = f"{o.name}.weight", o.weight
        if not isinstance(weight, Integers):
            return self._floats(name, weight)
        bits = self._container_of(weight)
        scale = weight.scale
        if o.kind == "Conv" and scale.ndim == 0:
            scale = np.repeat(scale, len(weight.codes))
        if o.kind == "Gemm" and scale.ndim == 1:
            self._warn(f"{name} has a scale for each channel before Gemm, which MNN reads wrong")
        zeros = np.zeros(scale.shape, np.int8)
        names = [
            self._integers(f"{name}_codes", weight.codes, bits),
            self._floats(f"{name}_scale", scale),
            self._integers(f"{name}_zero", zeros, bits),
        ]
        axis = {"axis": 0} if scale.ndim else {}
        self._node("DequantizeLinear", names, Operation("", (), name, f"{name}_dequantize"), **axis)
        return name

    def _container_of(self, weight: Integers) -> int:
        """Bits of the container that is asked for, or of the next that holds the codes."""
        if weight.bits > 8:
            raise ValueError(f"codes of at most 8 bits fit a container; got {weight.bits} bits")
        name = next(
            kind
            for kind in ("int2", "int4", "int8")
            if CONTAINERS[kind][0] >= max(weight.bits, CONTAINERS[self.container][0])
        )
        if name == "int2":
            self.widest_opset = "int2"
        if name != "int8":
            readers = {"int4": "onnxruntime, OpenVINO, ncnn; most others refuse", "int2": "onnxruntime"}[name]
            self._warn(f"{name} weights are read by few runtimes: {readers}")
        return CONTAINERS[name][0]

    def _bias(self, o: Operation) -> str:
        return self._floats(f"{o.name}.bias", o.bias)

    def _affine(self, o: Operation) -> None:
        """As a BatchNormalization of mean 0 and variance 1, which takes any number of axes."""
        assert o.bias is not None
        ones, zeros = np.ones_like(o.bias), np.zeros_like(o.bias)
        parts = {"factor": o.weight, "shift": o.bias, "mean": zeros, "variance": ones}
        names = [self._floats(f"{o.name}.{part}", values) for part, values in parts.items()]
        self._node("BatchNormalization", [*o.inputs, *names], o, epsilon=0.0)

    def _warn_of_saturation(self, o: Operation) -> None:
        wide = isinstance(o.weight, Integers) and np.abs(o.weight.codes).max(initial=0) > SAFE_CODE
        if wide and o.inputs[0] in self.whole_bytes:
            self._warn(
                "8-bit activations beside 8-bit weights: onnxruntime and OpenVINO let sums of pairs saturate "
                f"on CPUs without VNNI; set session.x64quantprecision=1, or keep weights within ±{SAFE_CODE}"
            )

    def _quantize(self, o: Operation) -> None:
        """Codes 0 … levels in a byte; a narrower range is clipped first, since a byte holds more."""
        (x,) = o.inputs
        if o.levels < 2**8 - 1:
            ends = {"low": 0.0, "high": o.levels * o.step}
            bounds = [self._floats(f"{o.name}_{end}", value) for end, value in ends.items()]
            self._node("Clip", [x, *bounds], Operation("", (), f"{o.output}_clipped", f"{o.name}_clip"))
            x = f"{o.output}_clipped"
        else:
            self.whole_bytes.add(o.output)
        scale = [self._floats(f"{o.name}_step", np.float32(o.step)), self._bytes(f"{o.name}_zero")]
        codes = f"{o.output}_codes"
        self._node("QuantizeLinear", [x, *scale], Operation("", (), codes, f"{o.name}_quantize"))
        self._node("DequantizeLinear", [codes, *scale], o)

    def _node(self, kind: str, inputs: Sequence[str], o: Operation, **attributes: Any) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [o.output], o.name, **attributes))

    def _floats(self, name: str, values: Any) -> str:
        array = np.asarray(values, np.float32)
        return self._tensor(name, "FLOAT", array.shape, array.tobytes())

    def _bytes(self, name: str) -> str:
        return self._tensor(name, "UINT8", (), b"\0")

    def _integers(self, name: str, codes: npt.NDArray[np.signedinteger], bits: int) -> str:
        return self._tensor(name, f"INT{bits}", codes.shape, pack(codes, bits).tobytes())

    def _tensor(self, name: str, kind: str, shape: tuple[int, ...], content: bytes) -> str:
        import onnx

        number = getattr(onnx.TensorProto, kind)
        self.initializers.append(onnx.helper.make_tensor(name, number, shape, content, raw=True))
        return name

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def _checked(path: Path, network: Sequence[Operation], images: Array) -> float | None:
    """How far onnxruntime's logits are from the emulation's; ValueError when that is more than rounding."""
    try:
        import onnxruntime
    except ImportError:
        return None
    x = channels_first(images)
    wanted = emulate(network, x)
    options = onnxruntime.SessionOptions()
    # Otherwise integer kernels round activations that this file leaves alone, and sums may saturate.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    found = session.run([LAST], {FIRST: x})[0]
    error = float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))
    rounds = any(operation.kind == "Quantize" for operation in network)
    # A sum on the edge between two codes of an activation may fall either way: a step, not a rounding.
    if not np.isfinite(error) or (error > TOLERANCE and not rounds):
        raise ValueError(f"the file's logits in onnxruntime differ by {error:.1e} from its own; not written")
    return error
