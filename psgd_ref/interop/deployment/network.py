"""What a plain network is made of: operations by ONNX's names, on (N, C, H, W), with weights as integers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Pair = tuple[int, int]
FIRST, LAST = "images", "logits"


@dataclass(frozen=True)
class Integers:
    """A weight as codes times a scale, in PyTorch's layout.

    Parameters
    ----------
    codes
        int8 (or int16 above 8 bits), (O, I, KH, KW) or (O, I).
    scale
        float32, () or (O,); the codes' step, times the factor of a batch norm that was folded in.
    bits
        Of the codes.
    """

    codes: npt.NDArray[np.signedinteger]
    scale: npt.NDArray[np.float32]
    bits: int

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """codes · scale, exact."""
        wide = self.scale.astype(np.float64)
        return self.codes * (wide.reshape(-1, *(1,) * (self.codes.ndim - 1)) if wide.ndim else wide)


@dataclass(frozen=True)
class Operation:
    """One step of the network, by ONNX's name for it.

    Parameters
    ----------
    kind
        Conv, Gemm, Relu, LeakyRelu, Clip, MaxPool, AveragePool, GlobalAveragePool, Flatten, Add, Affine (a
        batch norm with no convolution before it) or Quantize (round to codes and back).
    inputs, output
        Names of the tensors that it takes and of the one it gives.
    weight
        Of Conv and Gemm, integers or floats, (O, I, KH, KW) or (O, I); Affine's factor (C,).
    bias
        float32 (O,), or None.
    size, stride, padding
        Of windows, (height, width).
    surplus
        By how much a Conv's padding is less at the top and the left.
    groups
        Of Conv: the outputs of a group see its I inputs alone.
    slope
        Of LeakyRelu, below 0.
    top
        Of Clip, from 0.
    step, levels
        Of Quantize: x ↦ step · clip(round(x/step), 0, levels).
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    name: str = ""
    weight: Integers | npt.NDArray[np.float32] | None = None
    bias: npt.NDArray[np.float32] | None = None
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    surplus: Pair = (0, 0)
    groups: int = 1
    slope: float = 0.0
    top: float = 0.0
    step: float = 1.0
    levels: int = 0

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weight, (O, I, KH, KW) or (O, I); () without one."""
        if self.weight is None:
            return ()
        return self.weight.codes.shape if isinstance(self.weight, Integers) else self.weight.shape


def in_floats(network: Sequence[Operation]) -> list[Operation]:
    """The same network with float32 weights, and nothing rounded between its layers."""
    found: list[Operation] = []
    names: dict[str, str] = {}
    for operation in network:
        inputs = tuple(names.get(name, name) for name in operation.inputs)
        if operation.kind == "Quantize":
            names[operation.output] = inputs[0]
            continue
        weight = operation.weight
        if isinstance(weight, Integers):
            weight = weight.values.astype(np.float32)
        found.append(replace(operation, inputs=inputs, weight=weight))
    return found
