#!/usr/bin/env bash
# PyTorch pt2e → ONNX: the export forgets between which codes a tensor is clipped
#
# Versions: torch 2.13.0 (CPU), torchao 0.18.0, onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0
#
# Behaviour: a network quantized with prepare_pt2e and convert_pt2e holds quantize_per_tensor nodes with a
# smallest and a largest code. torch.onnx.export writes QuantizeLinear with the storage type, int8 or uint8,
# and drops the two codes without a word: 4-bit activations, 0 to 15, are clipped at 255; the reduced range
# of X86InductorQuantizer, 0 to 127, at 255 as well; -7 to 7 at -128 and 127. Weights with one scale each
# channel are right, a Clip follows; fake_quantize with 0 to 15 is refused with an error. Only the per-tensor
# node of pt2e, the one for activations, is silent.
#
# Output seen:
#   scale 0.1, codes 0 to 15: ends of torch, ONNX: [[0.0, 1.5], [0.0, 25.5]]
#   codes -7 to 7: ends of torch, ONNX: [[-0.7, 0.7], [-12.8, 12.7]]
#   per channel, codes 0 to 15: ends of torch, ONNX: [[0.0, 1.5], [0.0, 1.5]]
#   fake_quantize, codes 0 to 15: refused
#   X86InductorQuantizer, inputs twice as large: differ by less than 0.01: True
#   X86InductorQuantizer, inputs of the calibration, reduce_range=True: differ by less than 0.01: True
#   X86InductorQuantizer, inputs twice as large, reduce_range=True: differ by 0.32
#   4-bit activations, inputs twice as large: differ by 0.36
#
# Why it matters: the clip is part of a network with few bits, trained with it or calibrated to cut outliers. The
# file that is deployed has another nonlinearity than the one tested in PyTorch, on calibration data often
# with equal results, and its codes do not fit the 4 bits that the hardware was chosen for.
#
# What to do: look for quantize_per_tensor nodes whose codes are not the whole range of the type, and put
# clamp(scale * (low - zero), scale * (high - zero)) before them in the network; compare outputs with inputs
# beyond the calibrated range.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 torchao==0.18.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch torchao onnxscript onnx onnxruntime numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import contextlib
import io
import logging

import onnxruntime
import torch
from torch import nn

logging.disable(logging.WARNING)
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

torch.manual_seed(0)
codes = torch.ops.quantized_decomposed


def by_onnx(network, x, inputs):
    """Outputs of the exported network in onnxruntime, without its optimizations."""
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(network, (x,), dynamo=True, verbose=False).save("network.onnx")
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession("network.onnx", plain)
    name = session.get_inputs()[0].name
    return [torch.from_numpy(session.run(None, {name: given.numpy()})[0]) for given in inputs]


class PerTensor(nn.Module):
    def __init__(self, low, high, kind):
        super().__init__()
        self.rest = 0.1, 0, low, high, kind

    def forward(self, x):
        return codes.dequantize_per_tensor(codes.quantize_per_tensor(x, *self.rest), *self.rest)


class PerChannel(nn.Module):
    def forward(self, x):
        rest = torch.full((1,), 0.1), torch.zeros(1, dtype=torch.int64), 0, 0, 15, torch.uint8
        return codes.dequantize_per_channel(codes.quantize_per_channel(x, *rest), *rest)


class Fake(nn.Module):
    def forward(self, x):
        return torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 15)


def ends(network):
    x = torch.linspace(-40, 40, 81).reshape(1, 81)
    return [[round(float(end), 3) for end in (y.min(), y.max())] for y in (network(x), *by_onnx(network, x, [x]))]


seen = ends(PerTensor(0, 15, torch.uint8))
expect("scale 0.1, codes 0 to 15: ends of torch, ONNX", seen, [[0.0, 1.5], [0.0, 25.5]])
seen = ends(PerTensor(-7, 7, torch.int8))
expect("codes -7 to 7: ends of torch, ONNX", seen, [[-0.7, 0.7], [-12.8, 12.7]])
expect("per channel, codes 0 to 15: ends of torch, ONNX", ends(PerChannel()), [[0.0, 1.5]] * 2)
try:
    seen = ends(Fake())
except Exception:
    seen = "refused"
expect("fake_quantize, codes 0 to 15", seen, "refused")


class FourBits(Quantizer):
    """Linear layers with weights from -7 to 7 and inputs from 0 to 15."""

    def annotate(self, graph):
        inputs = QuantizationSpec(
            dtype=torch.uint8,
            quant_min=0,
            quant_max=15,
            qscheme=torch.per_tensor_affine,
            observer_or_fake_quant_ctr=MinMaxObserver,
        )
        weights = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-7,
            quant_max=7,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
            observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
        )
        for node in graph.graph.nodes:
            if node.target is torch.ops.aten.linear.default:
                node.meta["quantization_annotation"] = QuantizationAnnotation(
                    input_qspec_map={node.args[0]: inputs, node.args[1]: weights}, _annotated=True
                )
        return graph

    def validate(self, graph):
        pass


network = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
x = torch.randn(64, 16)


def differences(quantizer):
    """Between torch and ONNX, relative to the largest output: inputs of the calibration, and twice as large."""
    prepared = prepare_pt2e(torch.export.export(network, (x,)).module(), quantizer)
    prepared(x)
    converted = convert_pt2e(prepared)
    pairs = [(converted(given), y) for given, y in zip((x, 2 * x), by_onnx(converted, x, (x, 2 * x)))]
    return [float((y - truth).abs().max() / truth.abs().max()) for truth, y in pairs]


def by_x86(reduce_range):
    config = get_default_x86_inductor_quantization_config(reduce_range=reduce_range)
    return differences(X86InductorQuantizer().set_global(config))


name = "X86InductorQuantizer, inputs"
expect(f"{name} twice as large: differ by less than 0.01", by_x86(False)[1] < 0.01, True)
same, larger = by_x86(True)
expect(f"{name} of the calibration, reduce_range=True: differ by less than 0.01", same < 0.01, True)
print(f"{name} twice as large, reduce_range=True: differ by {larger:.2f}")
expect("  more than 0.2", larger > 0.2, True)
larger = differences(FourBits())[1]
print(f"4-bit activations, inputs twice as large: differ by {larger:.2f}")
expect("  more than 0.2", larger > 0.2, True)
PYTHON
