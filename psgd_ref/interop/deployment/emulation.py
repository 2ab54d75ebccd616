"""What a list of operations computes, in float64: the oracle of every file that is exported."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.interop.deployment.network import FIRST, LAST, Integers, Operation
from psgd_ref.kernels import reference

Tensor = npt.NDArray[np.float64]


def emulate(network: Sequence[Operation], images: npt.ArrayLike) -> Tensor:
    """Logits (N, K) of images (N, C, H, W) or rows (N, I), in float64 from the very numbers of the file."""
    return tensors(network, images)[LAST]


def tensors(network: Sequence[Operation], images: npt.ArrayLike) -> dict[str, Tensor]:
    """Every tensor of the network by name, the images and the logits among them."""
    found = {FIRST: np.asarray(images, np.float64)}
    for operation in network:
        inputs = (found[name] for name in operation.inputs)
        found[operation.output] = _RULES[operation.kind](operation, *inputs)
    return found


def _weight(operation: Operation) -> Tensor:
    weight = operation.weight
    return weight.values if isinstance(weight, Integers) else np.asarray(weight, np.float64)


def _bias(operation: Operation) -> Tensor:
    return np.zeros(()) if operation.bias is None else operation.bias.astype(np.float64)


def _last(x: Tensor) -> Tensor:
    """Channels to the end, where the readable kernels have them."""
    return x.transpose(0, 2, 3, 1)


def _first(x: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    return x.transpose(0, 3, 1, 2)


def _conv(o: Operation, x: Tensor) -> Tensor:
    kernel = _weight(o).transpose(2, 3, 1, 0)
    y = reference.grouped_conv2d(_last(x), kernel, None, o.stride, o.padding, o.groups)
    return _first(y[:, o.surplus[0] :, o.surplus[1] :] + _bias(o))


def _affine(o: Operation, x: Tensor) -> Tensor:
    ends = (1,) * (x.ndim - 2)
    return x * _weight(o).reshape(-1, *ends) + _bias(o).reshape(-1, *ends)


_RULES: dict[str, Callable[..., Tensor]] = {
    "Conv": _conv,
    "Gemm": lambda o, x: x @ _weight(o).T + _bias(o),
    "Relu": lambda o, x: np.maximum(x, 0),
    "LeakyRelu": lambda o, x: np.where(x > 0, x, o.slope * x),
    "Clip": lambda o, x: np.clip(x, 0, o.top),
    "MaxPool": lambda o, x: _first(reference.max_pool2d(_last(x), o.size, o.stride, o.padding)[0]),
    "AveragePool": lambda o, x: _first(reference.avg_pool2d(_last(x), o.size, o.stride, o.padding)),
    "GlobalAveragePool": lambda o, x: x.mean((2, 3), keepdims=True),
    "Flatten": lambda o, x: x.reshape(len(x), -1),
    "Add": lambda o, x, y: x + y,
    "Affine": _affine,
    "Quantize": lambda o, x: np.clip(np.rint(x / o.step), 0, o.levels) * o.step,
}
