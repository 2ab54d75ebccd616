"""What several families do alike: build the network in PyTorch, run and read ONNX files."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.given import FLOAT, INT8, LAYERS, Given, read

BOTH, PERCEPTRON = ("convnet", "perceptron"), ("perceptron",)
RUNS = 25

__all__ = ["BOTH", "FLOAT", "INT8", "LAYERS", "PERCEPTRON", "Given", "read"]


def only(bits: int, known: int) -> None:
    """Raise ValueError unless a format of fixed width is asked for that width."""
    if bits != known:
        raise ValueError(f"bits must be {known}; got {bits}")


def read_back(given: Given, weights: dict[str, Any], size: int) -> dict[str, Any]:
    """What became of a network in a file of that size, which nothing runs: its layers, read back."""
    floats = sum(given.weight(name).nbytes for name in given.layers)
    linear = not any(each["kind"] == "Conv" for each in given.operations)
    logits = {"logits": given.perceptron(weights)} if linear else {}
    return {**logits, "bytes": size, "float_bytes": floats, **weights}


def torch_network(given: Given, conv: Any = None, linear: Any = None) -> Any:
    """The network as `torch.nn.Sequential`, its layers named as they are.

    Parameters
    ----------
    conv, linear
        Make a layer in place of `torch.nn.Conv2d` and `Linear`, with the same parameters.
    """
    import torch
    from torch import nn

    made: dict[str, Any] = {}
    for i, each in enumerate(given.operations):
        name = each["name"]
        if each["kind"] in ("Conv", "Gemm"):
            w = torch.tensor(given.weight(name))
            size = {"kernel_size": w.shape[2:], "padding": each["padding"]} if w.ndim == 4 else {}
            make = (conv or nn.Conv2d) if w.ndim == 4 else (linear or nn.Linear)
            made[name] = make(w.shape[1], w.shape[0], **size)
            made[name].weight.data, made[name].bias.data = w, torch.tensor(given.bias(name))
        elif each["kind"] == "MaxPool":
            made[f"pool{i}"] = nn.MaxPool2d(tuple(each["size"]), tuple(each["stride"]))
        else:
            kinds = {
                "Relu": nn.ReLU,
                "Flatten": nn.Flatten,
                "GlobalAveragePool": lambda: nn.AdaptiveAvgPool2d(1),
            }
            made[f"{each['kind'].lower()}{i}"] = kinds[each["kind"]]()
    network = nn.Sequential()
    for name, layer in made.items():
        network.add_module(name, layer)
    return network.eval()


def torch_steps(parameter: Any, optimizer: Any, gradients: Any) -> Any:
    """The weights after each step with these gradients, (steps, n)."""
    import torch

    after = []
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient).reshape(parameter.shape)
        optimizer.step()
        after.append(parameter.detach().numpy().ravel().copy())
    return np.array(after)


def torch_logits(given: Given, network: Any) -> dict[str, Any]:
    """Logits of a module."""
    import torch

    with torch.no_grad():
        return {"logits": network(torch.tensor(given.images)).float().numpy()}


def in_turns(small: Callable[[Any], Any], floats: Callable[[Any], Any], images: Any) -> dict[str, float]:
    """Seconds of a pass over the images, the median of `RUNS`, by turns so that both share what disturbs."""
    seconds: dict[str, list[float]] = {"seconds": [], "float_seconds": []}
    for _ in range(RUNS + 1):
        for name, run in (("seconds", small), ("float_seconds", floats)):
            start = time.perf_counter()
            run(images)
            seconds[name].append(time.perf_counter() - start)
    # The first passes allocate.
    return {name: float(np.median(each[1:])) for name, each in seconds.items()}


def onnx_times(given: Given, run: Callable[[Any], Any], **settings: str) -> dict[str, float]:
    """A session against one of the float file with the same settings."""
    return in_turns(run, onnx_session(given.folder / FLOAT, **settings), given.images)


def onnx_session(path: Path | bytes, **settings: str) -> Callable[[Any], Any]:
    """A file in ONNX Runtime, one thread, as a function of the images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for name, value in settings.items():
        options.add_session_config_entry(name.replace("_", ".", 1), value)
    content = path if isinstance(path, bytes) else path.read_bytes()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda images: session.run(None, {taken.name: images})[0]


def onnx_weights(model: Any, given: Given) -> dict[str, Any]:
    """What DequantizeLinear makes of the stored codes, by "weight/NAME", for layers found by their shape.

    Works on files whose layers keep their order; a convolution's weight is (O, I, KH, KW), another's (O, I)
    or its transpose.
    """
    from onnx import numpy_helper

    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    stored |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    made: dict[str, Any] = {name: part for name, part in stored.items() if part.dtype == np.float32}
    found: dict[str, Any] = {}
    layers = iter(given.layers)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
            made[node.output[0]] = _dequantized([stored[name] for name in node.input], axis)
        if node.op_type == "Clip" and node.input[0] in stored:
            stored[node.output[0]] = np.clip(*(stored[name] for name in node.input))
        if node.op_type == "Transpose" and node.input[0] in made:
            made[node.output[0]] = made[node.input[0]].T
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            name, weight = next(layers), made[node.input[1]]
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            found[f"weight/{name}"] = weight if weight.ndim == 4 or transposed else weight.T
    return {name: np.ascontiguousarray(part, np.float32) for name, part in found.items()}


def _dequantized(parts: list[Any], axis: int) -> Any:
    codes, scale = parts[0].astype(np.float32), parts[1]
    zero = parts[2].astype(np.float32) if len(parts) > 2 else np.zeros_like(scale)
    shape = [1] * codes.ndim
    if scale.size > 1:
        shape[axis] = -1
    return (codes - zero.reshape(shape)) * scale.reshape(shape)
