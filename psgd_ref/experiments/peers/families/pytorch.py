"""PyTorch and torchao: fake quantization, observers, weight-only tensors, PARQ, the forms of SGD."""

from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def fake_quantize(w: Any, scale: Any, bits: int) -> Any:
    """`torch.fake_quantize_per_tensor_affine` onto 2^b − 1 levels, the scale given."""
    import torch

    top = 2 ** (bits - 1) - 1
    return torch.fake_quantize_per_tensor_affine(torch.tensor(w), float(scale), 0, -top, top).numpy()


def observer(w: Any, bits: int) -> Any:
    """`MinMaxObserver`, symmetric, and the rounding to what it says."""
    import torch
    from torch.ao.quantization import MinMaxObserver

    ends = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    seen = MinMaxObserver(torch.qint8, torch.per_tensor_symmetric, quant_min=ends[0], quant_max=ends[1])
    seen(torch.tensor(w))
    scale, zero = seen.calculate_qparams()
    return torch.fake_quantize_per_tensor_affine(torch.tensor(w), float(scale), int(zero), *ends).numpy()


def intx_symmetric(w: Any, bits: int) -> Any:
    """`IntxWeightOnlyConfig`, its default mapping, per row."""
    return _intx(w, bits, "SYMMETRIC")


def intx_no_clipping(w: Any, bits: int) -> Any:
    """`IntxWeightOnlyConfig` with SYMMETRIC_NO_CLIPPING_ERR, per row."""
    return _intx(w, bits, "SYMMETRIC_NO_CLIPPING_ERR")


def intx_asymmetric(w: Any, bits: int) -> Any:
    """`IntxWeightOnlyConfig` with ASYMMETRIC, per row."""
    return _intx(w, bits, "ASYMMETRIC")


def parq_uniform(w: Any, bits: int) -> Any:
    """PARQ's `UnifQuantizer`."""
    return _parq("UnifQuantizer", w, bits)


def parq_max_uniform(w: Any, bits: int) -> Any:
    """PARQ's `MaxUnifQuantizer`."""
    return _parq("MaxUnifQuantizer", w, bits)


def _intx(w: Any, bits: int, mapping: str) -> Any:
    import torch

    layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = torch.tensor(w, dtype=torch.float32)
    _quantize_rows(layer, bits, mapping)
    return layer.weight.dequantize().detach().numpy().astype(w.dtype)


def _quantize_rows(module: Any, bits: int, mapping: str) -> None:
    """`IntxWeightOnlyConfig`, a scale for each row of every linear layer."""
    import torch
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerAxis
    from torchao.quantization.quant_primitives import MappingType

    kind = getattr(torch, f"int{bits}")
    quantize_(module, IntxWeightOnlyConfig(kind, PerAxis(0), getattr(MappingType, mapping)))


def _parq(name: str, w: Any, bits: int) -> Any:
    import torch
    from torchao.prototype import parq

    back, _ = getattr(parq, name)().quantize(torch.tensor(w), bits)
    return np.asarray(back, w.dtype)


def sgd(
    w: Any,
    g: Any,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    **form: bool,
) -> Any:
    """`torch.optim.SGD` in one of its forms."""
    import torch

    weights = torch.nn.Parameter(torch.tensor(w))
    how = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    return shared.torch_steps(weights, torch.optim.SGD([weights], lr=lr, **how, **form), g)


def parq_steps(w: Any, g: Any, lr: float, prox: str) -> Any:
    """torchao's `QuantOptimizer` over SGD, `MaxUnifQuantizer` at 4 bits, fitted at every step."""
    import torch
    from torchao.prototype import parq

    weights = torch.nn.Parameter(torch.tensor(w))
    plain = torch.optim.SGD([{"params": [weights], "quant_bits": 4}], lr=lr)
    prox_map = {"PARQ": lambda: parq.ProxPARQ(0, len(g)), "hard": parq.ProxHardQuant}[prox]()
    optimizer = parq.QuantOptimizer(plain, parq.MaxUnifQuantizer(), prox_map, quant_period=1)
    return shared.torch_steps(weights, optimizer, g)


def pt2e(folder: str) -> dict[str, Any]:
    """torch.export, `prepare_pt2e` with all test images, `convert_pt2e`: 8-bit weights and activations."""
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    given = shared.read(folder)
    floats, images = shared.torch_network(given), torch.tensor(given.images)
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    batch = {0: torch.export.Dim("n", min=2)}
    exported = torch.export.export(floats, (images,), dynamic_shapes=(batch,)).module()
    prepared = prepare_pt2e(exported, quantizer)
    prepared(images)
    converted = convert_pt2e(prepared)
    return {**shared.torch_logits(given, converted), **_graph_weights(converted, given)}


def dynamic(folder: str) -> dict[str, Any]:
    """`torch.ao.quantization.quantize_dynamic`: 8-bit linear layers."""
    import torch
    from torch.ao.quantization import quantize_dynamic

    given = shared.read(folder)
    small = quantize_dynamic(shared.torch_network(given), {torch.nn.Linear}, dtype=torch.qint8)
    found = shared.torch_logits(given, small)
    for name in given.layers:
        found[f"weight/{name}"] = getattr(small, name).weight().dequantize().numpy()
    return found


def weight_only(folder: str, mapping: str = "SYMMETRIC", bits: int = 0) -> dict[str, Any]:
    """torchao's `IntxWeightOnlyConfig` per row, at the network's own bits or those given."""
    given = shared.read(folder)
    small = shared.torch_network(given)
    _quantize_rows(small, bits or given.bits, mapping)
    found = shared.torch_logits(given, small)
    for name in given.layers:
        found[f"weight/{name}"] = getattr(small, name).weight.dequantize().detach().numpy()
    return found


def _graph_weights(converted: Any, given: Any) -> dict[str, Any]:
    """What the graph dequantizes for each layer, from its stored tensors."""
    found, values = {}, {}
    layers = iter(given.layers)
    for node in converted.graph.nodes:
        if node.op == "get_attr":
            values[node] = _attribute(converted, node.target)
        elif "dequantize" in str(node.target) and node.args[0] in values:
            args = [values.get(each, each) if hasattr(each, "graph") else each for each in node.args]
            values[node] = node.target(*args, **node.kwargs)
        elif "conv2d" in str(node.target) or "linear" in str(node.target):
            found[f"weight/{next(layers)}"] = values[node.args[1]].detach().numpy()
    return found


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


QUANTIZERS = {
    "torch fake_quantize, scale given": (fake_quantize, (2, 4, 8)),
    "torch MinMaxObserver, symmetric": (observer, (2, 4, 8)),
    "torchao Intx, symmetric": (intx_symmetric, (2, 3, 4, 8)),
    "torchao Intx, symmetric, no clipping error": (intx_no_clipping, (2, 3, 4, 8)),
    "torchao Intx, asymmetric": (intx_asymmetric, (2, 4, 8)),
    "torchao PARQ UnifQuantizer": (parq_uniform, (2, 4)),
    "torchao PARQ MaxUnifQuantizer": (parq_max_uniform, (2, 4)),
}

MEETINGS = {
    "torch.export, torchao PT2E (x86)": (pt2e, {}, shared.BOTH),
    "torch quantize_dynamic": (dynamic, {}, shared.PERCEPTRON),
    "torchao Intx weight-only, own bits": (weight_only, {}, shared.PERCEPTRON),
    "torchao Intx weight-only, SYMMETRIC_NO_CLIPPING_ERR": (
        weight_only,
        {"mapping": "SYMMETRIC_NO_CLIPPING_ERR"},
        shared.PERCEPTRON,
    ),
    "torchao Intx weight-only, 8 bits": (weight_only, {"bits": 8}, shared.PERCEPTRON),
}

OPTIMIZERS = {
    "torch SGD, plain": (sgd, {"foreach": False, "fused": False}, "step"),
    "torch SGD, foreach": (sgd, {"foreach": True}, "step"),
    "torch SGD, fused": (sgd, {"fused": True}, "step"),
    "torchao ProxPARQ over SGD": (parq_steps, {"prox": "PARQ"}, "PARQ"),
    "torchao ProxHardQuant over SGD": (parq_steps, {"prox": "hard"}, "nearest target"),
}
