"""LiteRT: AI Edge Quantizer on a file of LiteRT's, which onnx2tf makes; that needs Python 3.12 or newer.

onnx2tf wants one version of LiteRT exactly, and that the quantizer of its time, so neither is the newest.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def quantized(folder: str, recipe: str) -> dict[str, Any]:
    """A recipe of AI Edge Quantizer's for the float network, and for each layer alone to see its weights."""
    given = shared.read(folder)
    floats = _converted(given.folder / shared.FLOAT)
    small = _quantized(floats, recipe, given.images)
    found = {"logits": _run(small)(given.images), "bytes": len(small), "float_bytes": len(floats)}
    found |= shared.in_turns(_run(small), _run(floats), given.images)
    # A layer with quantized outputs does not show its weights.
    for name in () if recipe.startswith("static") else given.layers:
        probe = given.probe(name)
        alone = _quantized(_converted(given.folder / shared.LAYERS / f"{name}.onnx"), recipe, probe)
        found[f"weight/{name}"] = given.probed(name, _run(alone)(probe))
    return found


def _converted(source: Path) -> bytes:
    """The file as LiteRT has it; onnx2tf writes into its input, hence the copy."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(source, Path(place, "network.onnx"))
        command = [str(Path(sys.executable).with_name("onnx2tf")), "-i", "network.onnx", "-o", "."]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        (made,) = Path(place).glob("*float32.tflite")
        return made.read_bytes()


def _quantized(floats: bytes, recipe: str, images: Any) -> bytes:
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer import recipe as recipes

    made = quantizer.Quantizer(bytearray(floats), getattr(recipes, recipe)())
    seen = None
    if made.need_calibration:
        taken = _interpreter(floats).get_signature_runner().get_input_details()
        (name,) = taken
        batches = [{name: _last(images[k : k + 1])} for k in range(len(images))]
        seen = made.calibrate({"serving_default": batches})
    return bytes(made.quantize(seen).quantized_model)


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=1)
    made.allocate_tensors()
    return made


def _run(content: bytes) -> Any:
    """A file as a function of images, one by one, channels first and floats on both sides."""
    made = _interpreter(content)
    (taken,), (given,) = made.get_input_details(), made.get_output_details()

    def run(images: Any) -> Any:
        images, found = _last(images), []
        scale, zero = taken["quantization"]
        if scale:
            images = np.clip(np.rint(images / scale) + zero, -128, 127).astype(np.int8)
        for k in range(len(images)):
            made.set_tensor(taken["index"], images[k : k + 1])
            made.invoke()
            found.append(made.get_tensor(given["index"]))
        scale, zero = given["quantization"]
        outputs = np.concatenate(found)
        outputs = (outputs.astype(np.float32) - zero) * np.float32(scale) if scale else outputs
        return outputs.transpose(0, 3, 1, 2) if outputs.ndim == 4 else outputs

    return run


def _last(images: Any) -> Any:
    """Channels last."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if images.ndim == 4 else images


MEETINGS = {
    f"LiteRT, AI Edge Quantizer {recipe}": (quantized, {"recipe": recipe}, shared.BOTH)
    for recipe in (
        "dynamic_wi8_afp32",
        "weight_only_wi8_afp32",
        "weight_only_wi4_afp32",
        "static_wi8_ai8",
    )
}
