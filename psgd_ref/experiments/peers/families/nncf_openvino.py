"""NNCF's weight compression, and OpenVINO as the runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def symmetric(w: Any, bits: int) -> Any:
    """NNCF's INT_SYM for a weight, one scale a row, before the scale is stored in float16."""
    return _quantized(w, f"INT{bits}_SYM")


def asymmetric(w: Any, bits: int) -> Any:
    """NNCF's INT_ASYM for a weight, one scale a row, before the scale is stored in float16."""
    return _quantized(w, f"INT{bits}_ASYM")


def read_integers(folder: str, **settings: str) -> dict[str, Any]:
    """The file of `psgd-ref export`, read by OpenVINO."""
    import openvino as ov

    given = shared.read(folder)
    return _met(given, ov.Core().read_model(given.folder / shared.INT8), **settings)


def compressed(folder: str, mode: str = "INT8_ASYM") -> dict[str, Any]:
    """`nncf.compress_weights` of the float network, and of each layer alone to see its weights."""
    import nncf
    import openvino as ov

    given = shared.read(folder)
    options = {} if mode.startswith("INT8") else {"group_size": -1, "all_layers": True}

    def small(path: Path) -> Any:
        model = ov.Core().read_model(path)
        return nncf.compress_weights(model, mode=nncf.CompressWeightsMode[mode], **options)

    found = _met(given, small(given.folder / shared.FLOAT))
    for name in given.layers:
        run = _compiled(small(given.folder / shared.LAYERS / f"{name}.onnx"))
        found[f"weight/{name}"] = given.probed(name, run(given.probe(name)))
    return found


def quantized(folder: str) -> dict[str, Any]:
    """`nncf.quantize` of the float network: 8-bit weights and activations, all test images to calibrate."""
    import nncf
    import openvino as ov

    given = shared.read(folder)
    images = [given.images[k : k + 1] for k in range(len(given.images))]
    model = ov.Core().read_model(given.folder / shared.FLOAT)
    small = nncf.quantize(model, nncf.Dataset(images, lambda image: {"images": image}), subset_size=300)
    return _met(given, small)


def _quantized(w: Any, mode: str) -> Any:
    from nncf import CompressWeightsMode
    from nncf.quantization.algorithms.weight_compression import config, weight_lowering
    from nncf.tensor import Tensor

    how = config.WeightCompressionConfig(CompressWeightsMode[mode], -1)
    weights = Tensor(w.astype(np.float32))
    found = weight_lowering.integer_quantize_dequantize_weight(weights, how, 1)
    return np.asarray(found.data).astype(w.dtype).reshape(w.shape)


def _compiled(model: Any, **settings: str) -> Any:
    import openvino as ov

    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, **settings}
    made = ov.compile_model(model, "CPU", how)
    return lambda images: made(images)[0]


def _met(given: Any, model: Any, **settings: str) -> dict[str, Any]:
    import openvino as ov

    run = _compiled(model, **settings)
    floats = _compiled(ov.Core().read_model(given.folder / shared.FLOAT), **settings)
    return {"logits": run(given.images), **shared.in_turns(run, floats, given.images)}


QUANTIZERS = {
    "NNCF INT_SYM": (symmetric, (2, 3, 4, 8)),
    "NNCF INT_ASYM": (asymmetric, (4, 8)),
}
MEETINGS = {
    "OpenVINO reads our INT8 file": (read_integers, {}, shared.BOTH),
    "OpenVINO reads our INT8 file, DYNAMIC_QUANTIZATION_GROUP_SIZE=0": (
        read_integers,
        {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
        shared.BOTH,
    ),
    "NNCF compress_weights → OpenVINO, INT8_ASYM (default)": (compressed, {}, shared.BOTH),
    "NNCF compress_weights → OpenVINO, INT8_SYM": (compressed, {"mode": "INT8_SYM"}, shared.BOTH),
    "NNCF compress_weights → OpenVINO, INT4_SYM, all layers, one scale a row": (
        compressed,
        {"mode": "INT4_SYM"},
        shared.PERCEPTRON,
    ),
    "NNCF quantize → OpenVINO, W8A8": (quantized, {}, shared.BOTH),
}
