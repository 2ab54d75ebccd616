"""ONNX Runtime's quantizers: static, weight-only MatMulNBits, and QuantizeLinear itself."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def quantize_linear(w: Any, scale: Any, bits: int) -> Any:
    """QuantizeLinear and DequantizeLinear, the scale given, INT8 or INT4."""
    from onnx import TensorProto, helper

    kind = {4: TensorProto.INT4, 8: TensorProto.INT8}[bits]
    zero = helper.make_tensor("zero", kind, [], [0])
    step = helper.make_tensor("step", TensorProto.FLOAT, [], [float(scale)])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "step", "zero"], ["y"]),
    ]
    return _run(_model(nodes, [step, zero], w.shape, w.shape), w.astype(np.float32)).astype(w.dtype)


def static_int8(w: Any, bits: int) -> Any:
    """`quantize_static`, QInt8 or QInt4 weights, symmetric, per tensor."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "float.onnx"), Path(name, "small.onnx")
        source.write_bytes(_gemm(w).SerializeToString())
        quantize_static(
            source,
            target,
            _Once({"x": np.ones((2, w.shape[1]), np.float32)}),
            quant_format=QuantFormat.QDQ,
            weight_type=getattr(QuantType, f"QInt{bits}"),
            extra_options={"WeightSymmetric": True},
        )
        return _weight(target, w)


def mat_mul_n_bits(w: Any, bits: int) -> Any:
    """`MatMulNBitsQuantizer`, symmetric, blocks of 32, run as MatMulNBits in float."""
    return _run(_n_bits(_matmul(w), bits, accuracy_level=0), _unit_vectors(w)).T.astype(w.dtype)


def _n_bits(model: Any, bits: int, **more: int) -> Any:
    """A model with MatMulNBits in place of MatMul."""
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        DefaultWeightOnlyQuantConfig,
        MatMulNBitsQuantizer,
    )

    how = DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True, bits=bits, **more)
    quantizer = MatMulNBitsQuantizer(model, algo_config=how)
    quantizer.process()
    return quantizer.model.model


def _unit_vectors(w: Any) -> Any:
    return np.eye(w.shape[1], dtype=np.float32)


class _Once:
    """A reader of calibration data with one batch."""

    def __init__(self, batch: dict[str, Any]) -> None:
        self.batches = iter([batch])

    def get_next(self) -> Any:
        """The next batch, or None."""
        return next(self.batches, None)


def _gemm(w: Any) -> Any:
    return _layer(w, "Gemm", w, transB=1)


def _matmul(w: Any) -> Any:
    return _layer(w, "MatMul", w.T.copy())


def _layer(w: Any, kind: str, stored: Any, **attributes: int) -> Any:
    """A model of one layer for a weight (O, I), as its node wants it stored."""
    from onnx import helper, numpy_helper

    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    weight = numpy_helper.from_array(stored.astype(np.float32), "w")
    return _model([node], [weight], ("n", w.shape[1]), ("n", w.shape[0]))


def _model(nodes: Any, initializers: Any, taken: Any, given: Any) -> Any:
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name, shape in (("x", taken), ("y", given))
    ]
    graph = helper.make_graph(nodes, "layer", ends[:1], ends[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _run(model: Any, x: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _weight(path: Path, w: Any) -> Any:
    """What DequantizeLinear gives for the weight in a file."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    found = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        codes = found.get(node.input[0])
        if node.op_type == "DequantizeLinear" and codes is not None and codes.shape == w.shape:
            zero = found[node.input[2]].astype(np.float32)
            return ((codes.astype(np.float32) - zero) * found[node.input[1]]).astype(w.dtype)
    raise ValueError("the file has no quantized weight")


def read_integers(folder: str, **settings: str) -> dict[str, Any]:
    """The file of `psgd-ref export`, read by ONNX Runtime; weights as the file has them."""
    given = shared.read(folder)
    run = shared.onnx_session(given.folder / shared.INT8, **settings)
    found = _met(given, given.folder / shared.INT8, run, **settings)
    return found | shared.onnx_weights(_load(given.folder), given)


def static(folder: str, symmetric: bool = True, per_channel: bool = False, kind: str = "QInt8") -> Any:
    """`quantize_static` of the float network, all test images to calibrate with."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    given = shared.read(folder)

    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "float.onnx"), Path(name, "small.onnx")
        # It writes beside its input.
        shutil.copy(given.folder / shared.FLOAT, source)
        quantize_static(
            source,
            target,
            _Once({"images": given.images}),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            weight_type=QuantType[kind],
            extra_options={"WeightSymmetric": symmetric},
        )
        found = _met(given, target, shared.onnx_session(target))
        return found | shared.onnx_weights(onnx.load(target), given)


def dynamic(folder: str, kind: str = "QInt8", reduce_range: bool = False) -> Any:
    """`quantize_dynamic` of the float network."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    given = shared.read(folder)
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "float.onnx"), Path(name, "small.onnx")
        shutil.copy(given.folder / shared.FLOAT, source)
        quantize_dynamic(source, target, weight_type=QuantType[kind], reduce_range=reduce_range)
        found = _met(given, target, shared.onnx_session(target))
        return found | _dynamic_weights(onnx.load(target), given)


def mat_mul_bits(folder: str, bits: int = 4) -> Any:
    """`MatMulNBitsQuantizer` of the perceptron, its Gemm written as MatMul and Add."""
    given = shared.read(folder)
    floats = _perceptron(given)
    size, plain = floats.ByteSize(), shared.onnx_session(floats.SerializeToString())
    content: bytes = _n_bits(floats, bits).SerializeToString()
    run = shared.onnx_session(content)
    found = {"logits": run(given.images), "bytes": len(content), "float_bytes": size}
    found |= shared.in_turns(run, plain, given.images)
    for name in given.layers:
        w = given.weight(name)
        # What it computes with, told by the unit vectors, in float.
        found[f"weight/{name}"] = _run(_n_bits(_matmul(w), bits, accuracy_level=1), _unit_vectors(w)).T
    return found


def _perceptron(given: Any) -> Any:
    from onnx import helper, numpy_helper

    nodes, stored, x = [], [], "x"
    for name in given.layers:
        last = name == given.layers[-1]
        stored.append(numpy_helper.from_array(given.weight(name).T.copy(), f"{name}.w"))
        stored.append(numpy_helper.from_array(given.bias(name), f"{name}.b"))
        nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [f"{name}.product"], name))
        nodes.append(
            helper.make_node("Add", [f"{name}.product", f"{name}.b"], ["y" if last else f"{name}.y"])
        )
        if not last:
            nodes.append(helper.make_node("Relu", [f"{name}.y"], [f"{name}.r"]))
        x = f"{name}.r"
    return _model(nodes, stored, ("n", given.images.shape[1]), ("n", given.logits.shape[1]))


def _met(given: Any, path: Path, run: Any, **settings: str) -> dict[str, Any]:
    floats = given.folder / shared.FLOAT
    sizes = {"bytes": path.stat().st_size, "float_bytes": floats.stat().st_size}
    return {"logits": run(given.images), **sizes, **shared.onnx_times(given, run, **settings)}


def _load(folder: Path) -> Any:
    import onnx

    return onnx.load(folder / shared.INT8)


def _dynamic_weights(model: Any, given: Any) -> dict[str, Any]:
    """Of a file with ConvInteger and MatMulInteger: codes, scales and zero points by their names."""
    from onnx import numpy_helper

    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    found = {}
    for name in given.layers:
        codes, scale, zero = (
            stored[f"{name}.weight{end}"].astype(np.float32)
            for end in ("_quantized", "_scale", "_zero_point")
        )
        value = (codes - zero) * scale
        # MatMulInteger takes (I, O).
        found[f"weight/{name}"] = value if value.ndim == 4 else value.T
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


QUANTIZERS = {
    "ONNX Runtime QuantizeLinear, scale given": (quantize_linear, (4, 8)),
    "ONNX Runtime quantize_static, symmetric": (static_int8, (4, 8)),
    "ONNX Runtime MatMulNBits, symmetric": (mat_mul_n_bits, (2, 4)),
}

MEETINGS = {
    "ONNX Runtime reads our INT8 file": (read_integers, {}, shared.BOTH),
    "ONNX Runtime reads our INT8 file, disable_quant_qdq": (
        read_integers,
        {"session_disable_quant_qdq": "1"},
        shared.BOTH,
    ),
    "ONNX Runtime quantize_static, defaults": (static, {"symmetric": False}, shared.BOTH),
    "ONNX Runtime quantize_static, WeightSymmetric": (static, {}, shared.BOTH),
    "ONNX Runtime quantize_static, WeightSymmetric and per_channel": (
        static,
        {"per_channel": True},
        shared.BOTH,
    ),
    "ONNX Runtime quantize_static, QInt4 and WeightSymmetric": (static, {"kind": "QInt4"}, shared.BOTH),
    "ONNX Runtime quantize_dynamic": (dynamic, {}, shared.BOTH),
    "ONNX Runtime quantize_dynamic, reduce_range": (dynamic, {"reduce_range": True}, shared.BOTH),
    "ONNX Runtime MatMulNBits, 4 bits": (mat_mul_bits, {}, shared.PERCEPTRON),
    "ONNX Runtime MatMulNBits, 8 bits": (mat_mul_bits, {"bits": 8}, shared.PERCEPTRON),
}
