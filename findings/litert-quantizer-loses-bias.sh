#!/usr/bin/env bash
# ai-edge-quantizer: the bias of a pruned channel is lost, and with 16-bit activations turns negative
#
# Versions: ai-edge-quantizer 0.10.0, ai-edge-litert 2.3.0, onnxruntime 1.32.0, onnx 1.23.2
#
# Behaviour: the static recipes keep the bias as a whole number of steps, one step being input step ×
# weight step of that channel. Where the weights of a channel are small or zero, the weight step is tiny,
# the bias does not fit and is clipped to 32 bits, and nothing is said. A channel whose weights are all
# zero (pruned) puts out 0 and not its bias. With 16-bit activations the bias is stored in 64 bits but
# clipped to 32 all the same, and the clip turns a positive bias to the most negative number: the bias 5
# becomes -2.5 already where the largest weight of the channel is 0.002. onnxruntime's quantizer makes the
# weight step larger where the bias would not fit, and keeps it.
#
# Output seen (fully connected, 32 inputs, weights around 1, the bias of channel 1 is 5; 5.0 would be right):
#   weights of channel 1 as they are: off by less than 0.5: [True, True]
#   weights of channel 1 times 0.001: static_wi8_ai8: 5.0
#   weights of channel 1 times 0.001: static_wi8_ai16: -2.5
#   stored bias: [-2147483648, 'INT64']
#   weights of channel 1 all zero: static_wi8_ai8: 0.0
#   weights of channel 1 all zero: static_wi8_ai16: 0.0
#   weights of channel 1 all zero: convolution, static_wi8_ai8: 0.0
#   weights of channel 1 all zero: onnxruntime, 8 bits: 5.0
#   weights of channel 1 times 0.001: onnxruntime, 16-bit activations: 5.0
#
# Why it matters: pruned and ternary networks have such channels, and once batch normalization is folded
# the bias is all that such a channel says to the next layer. Everything behind it is wrong, and the other
# channels look right.
#
# What to do: before quantizing, remove such a channel and add what it says to the next layer's bias; or
# use a dynamic or weight-only recipe, where the bias stays a float; compare channel by channel afterwards.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'ai-edge-quantizer ai-edge-litert onnxruntime onnx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import contextlib
import io

import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static


def float_model(weights, bias, shape_in, shape_out):
    """A LiteRT file of one layer; four dimensions of the weights: convolution, else fully connected."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    step, signature = schema.OperatorT(), schema.SignatureDefT()
    model.version, model.description, graph.name = 3, "one layer", "main"
    model.buffers, graph.tensors = [schema.BufferT()], []
    for name, shape, data in (
        ("x", shape_in, None),
        ("weights", weights.shape, weights),
        ("bias", bias.shape, bias),
        ("y", shape_out, None),
    ):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), schema.TensorType.FLOAT32
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(data.astype(np.float32).tobytes(), np.uint8)
        graph.tensors.append(tensor)
    if weights.ndim == 4:
        step.builtinOptions = schema.Conv2DOptionsT()
        step.builtinOptions.padding = schema.Padding.VALID
        step.builtinOptions.strideH = step.builtinOptions.strideW = 1
        step.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        code.builtinCode = schema.BuiltinOperator.CONV_2D
    else:
        step.builtinOptions = schema.FullyConnectedOptionsT()
        step.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        code.builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
    step.inputs, step.outputs = [0, 1, 2], [3]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [step]
    ends = []
    for index in (0, 3):
        ends.append(schema.TensorMapT())
        ends[-1].name, ends[-1].tensorIndex = graph.tensors[index].name, index
    signature.signatureKey, signature.inputs, signature.outputs = "serving_default", ends[:1], ends[1:]
    model.operatorCodes, model.subgraphs, model.signatureDefs = [code], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, x):
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] != np.float32:
        scale, zero = source["quantization"]
        limits = np.iinfo(source["dtype"])
        x = np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(source["dtype"])
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(target["index"])
    if target["dtype"] != np.float32:
        scale, zero = target["quantization"]
        y = (y.astype(np.float64) - zero) * scale
    return y


def by_litert(name, content, inputs):
    """Outputs for the first input, and the quantized file."""
    with open("float.tflite", "wb") as file:
        file.write(content)
    with contextlib.redirect_stdout(io.StringIO()):
        worker = quantizer.Quantizer("float.tflite")
        worker.load_quantization_recipe(getattr(recipe, name)())
        seen = worker.calibrate({"serving_default": [{"x": x} for x in inputs]})
        quantized = bytes(worker.quantize(seen).quantized_model)
    return run(quantized, inputs[0]), quantized


class Inputs(CalibrationDataReader):
    def __init__(self, inputs):
        self.rest = iter([{"x": x} for x in inputs])

    def get_next(self):
        return next(self.rest, None)


def by_onnxruntime(weights, bias, inputs, activations):
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs[0].shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(inputs[0]), len(bias)]),
    ]
    node = helper.make_node("Gemm", ["x", "weights", "bias"], ["y"], transB=1)
    constants = [
        numpy_helper.from_array(data.astype(np.float32), name)
        for name, data in (("weights", weights), ("bias", bias))
    ]
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), "float.onnx")
    quantize_static(
        "float.onnx", "quantized.onnx", Inputs(inputs), per_channel=True, activation_type=activations
    )
    return onnxruntime.InferenceSession("quantized.onnx").run(None, {"x": inputs[0]})[0]


generator = np.random.default_rng(0)
usual = generator.normal(size=(4, 32))
bias = np.array([1.0, 5.0, -2.0, 0.5])
inputs = [generator.normal(size=(2, 32)).astype(np.float32) for _ in range(4)]
recipes = "static_wi8_ai8", "static_wi8_ai16"


def layer(factor):
    weights = usual * np.array([[1.0], [factor], [1.0], [1.0]])
    return weights, float_model(weights, bias, (2, 32), (2, 4))


def channel(y):
    """Channel 1, averaged; + 0.0 makes -0.0 a plain zero."""
    return round(float(y[..., 1].mean()), 1) + 0.0


close = [
    bool(np.abs(by_litert(name, layer(1)[1], inputs)[0] - inputs[0] @ usual.T - bias).max() < 0.5)
    for name in recipes
]
expect("weights of channel 1 as they are: off by less than 0.5", close, [True, True])
for name, wanted in zip(recipes, (5.0, -2.5)):
    y, quantized = by_litert(name, layer(1e-3)[1], inputs)
    expect(f"weights of channel 1 times 0.001: {name}", channel(y), wanted)
model = schema.ModelT.InitFromPackedBuf(quantized, 0)
stored = next(tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"bias")
steps = np.frombuffer(bytes(model.buffers[stored.buffer].data), np.int64)
expect(
    "stored bias",
    [int(steps[1]), "INT64" if stored.type == schema.TensorType.INT64 else stored.type],
    [-(2**31), "INT64"],
)
for name in recipes:
    y, _ = by_litert(name, layer(0)[1], inputs)
    expect(f"weights of channel 1 all zero: {name}", channel(y), 0.0)
filters = generator.normal(size=(4, 3, 3, 2))
filters[1] = 0
images = [generator.normal(size=(1, 6, 6, 2)).astype(np.float32) for _ in range(4)]
content = float_model(filters, bias, (1, 6, 6, 2), (1, 4, 4, 4))
y, _ = by_litert("static_wi8_ai8", content, images)
expect("weights of channel 1 all zero: convolution, static_wi8_ai8", channel(y), 0.0)
y = by_onnxruntime(layer(0)[0], bias, inputs, QuantType.QInt8)
expect("weights of channel 1 all zero: onnxruntime, 8 bits", channel(y), 5.0)
y = by_onnxruntime(layer(1e-3)[0], bias, inputs, QuantType.QInt16)
expect("weights of channel 1 times 0.001: onnxruntime, 16-bit activations", channel(y), 5.0)
PYTHON
