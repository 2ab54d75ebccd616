"""Brevitas: its weight quantizers, and its export of QuantizeLinear-Clip-DequantizeLinear to ONNX Runtime."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from psgd_ref.experiments.peers.families import shared


def per_tensor(w: Any, bits: int) -> Any:
    """`Int8WeightPerTensorFloat` at b bits."""
    return _quantized("Int8WeightPerTensorFloat", w, bits)


def fixed_point(w: Any, bits: int) -> Any:
    """`Int8WeightPerTensorFixedPoint` at b bits: the scale is a power of two."""
    return _quantized("Int8WeightPerTensorFixedPoint", w, bits)


def _quantized(name: str, w: Any, bits: int) -> Any:
    import torch
    from brevitas import nn, quant

    size = w.size
    layer = nn.QuantLinear(size, 1, bias=False, weight_quant=getattr(quant, name), weight_bit_width=bits)
    layer.weight.data = torch.tensor(w.reshape(1, size), dtype=torch.float32)
    layer.eval()
    return layer.quant_weight().value.detach().numpy().reshape(w.shape).astype(w.dtype)


def qcdq(folder: str, rule: str = "Int8WeightPerTensorFloat") -> dict[str, Any]:
    """Layers with our weights at the network's bits, `export_onnx_qcdq`, ONNX Runtime."""
    import onnx
    import torch
    from brevitas import nn, quant
    from brevitas.export import export_onnx_qcdq

    given = shared.read(folder)
    how = {"weight_quant": getattr(quant, rule), "weight_bit_width": given.bits}
    network = shared.torch_network(given, partial(nn.QuantConv2d, **how), partial(nn.QuantLinear, **how))
    with tempfile.TemporaryDirectory() as name:
        target = Path(name, "qcdq.onnx")
        export_onnx_qcdq(
            network,
            torch.tensor(given.images[:1]),
            export_path=str(target),
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "n"}},
        )
        run = shared.onnx_session(target)
        found = {"logits": run(given.images), "bytes": target.stat().st_size}
        found["float_bytes"] = (given.folder / shared.FLOAT).stat().st_size
        found |= shared.onnx_weights(onnx.load(target), given) | shared.onnx_times(given, run)
    return found


QUANTIZERS = {
    "brevitas Int8WeightPerTensorFloat": (per_tensor, (2, 4, 8)),
    "brevitas Int8WeightPerTensorFixedPoint": (fixed_point, (2, 4, 8)),
}

MEETINGS = {
    "Brevitas QCDQ → ONNX Runtime": (qcdq, {}, shared.BOTH),
    "Brevitas QCDQ → ONNX Runtime, Int8WeightPerTensorFixedPoint": (
        qcdq,
        {"rule": "Int8WeightPerTensorFixedPoint"},
        shared.BOTH,
    ),
}
