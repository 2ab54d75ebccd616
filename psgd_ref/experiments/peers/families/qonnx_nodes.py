"""QONNX: Quant nodes of any bit-width in an ONNX file, in its own executor, and turned to QCDQ.

The onnx of this family is an older one: the executor makes models of one node each, which onnx 1.23 marks
with a version that ONNX Runtime refuses ("Unsupported model IR version: 14").
"""

from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared

_DOMAIN = "qonnx.custom_op.general"


def quant(w: Any, scale: Any, bits: int) -> Any:
    """The function of its Quant node: signed, narrow, rounding mode ROUND."""
    from qonnx.custom_op.general.intquant import int_quant

    parts = np.float32(scale), np.float32(0), np.float32(bits)
    return np.asarray(int_quant(w, *parts, signed=1, narrow=1, rounding_mode="ROUND"), w.dtype)


def executed(folder: str) -> dict[str, Any]:
    """The float file with a Quant node behind each weight, our scales, in its executor, node by node."""
    from qonnx.core.onnx_exec import execute_onnx

    given = shared.read(folder)
    model = _with_quant(given)
    (taken,), (result,) = model.graph.input, model.graph.output
    seen = execute_onnx(model, {taken.name: given.images}, return_full_exec_context=True)
    weights = {f"weight/{name}": seen[f"{name}.quantized"] for name in given.layers}
    return {"logits": seen[result.name], **weights, **_sizes(given, model.model)}


def converted(folder: str) -> dict[str, Any]:
    """The same file after `QuantToQCDQ`, in ONNX Runtime."""
    import onnx
    import onnxruntime
    from qonnx.transformation.qonnx_to_qcdq import QuantToQCDQ

    given = shared.read(folder)
    model = _with_quant(given).transform(QuantToQCDQ()).model
    sizes = _sizes(given, model)
    run = shared.onnx_session(model.SerializeToString())
    met = {"logits": run(given.images), **shared.onnx_times(given, run)}
    # It quantizes floats when it runs: the weights are outputs of nodes, not in the file.
    names = [f"{name}.quantized" for name in given.layers]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    weights = session.run(names, {model.graph.input[0].name: given.images})
    found = {f"weight/{name}": weight for name, weight in zip(given.layers, weights, strict=True)}
    return {**met, **found, **sizes}


def _with_quant(given: Any) -> Any:
    """The float file with Quant nodes, for as many images as there are: its executor wants all shapes."""
    import onnx
    from onnx import helper, numpy_helper
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    model = onnx.load(given.folder / shared.FLOAT)
    layers = iter(given.layers)
    for node in list(model.graph.node):
        if node.op_type not in ("Conv", "Gemm"):
            continue
        name = next(layers)
        values = {"scale": given.arrays[f"{name}.scale"], "zero": 0, "bits": given.bits}
        parts = [numpy_helper.from_array(np.float32(value), f"{name}.{key}") for key, value in values.items()]
        model.graph.initializer.extend(parts)
        taken, made = [node.input[1], *(part.name for part in parts)], f"{name}.quantized"
        how = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND", "domain": _DOMAIN}
        place = list(model.graph.node).index(node)
        model.graph.node.insert(place, helper.make_node("Quant", taken, [made], **how))
        node.input[1] = made
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 2))
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = len(given.images)
    return ModelWrapper(model).transform(InferShapes())


def _sizes(given: Any, model: Any) -> dict[str, int]:
    return {"bytes": model.ByteSize(), "float_bytes": (given.folder / shared.FLOAT).stat().st_size}


QUANTIZERS = {"QONNX Quant, scale given": (quant, (2, 4, 8))}

MEETINGS: dict[str, Any] = {
    "QONNX Quant nodes → its executor": (executed, {}, shared.BOTH),
    "QONNX Quant nodes → QCDQ → ONNX Runtime": (converted, {}, shared.BOTH),
}
