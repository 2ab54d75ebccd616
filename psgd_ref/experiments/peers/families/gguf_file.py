"""gguf, the container of llama.cpp: its block formats in Python."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def q4_0(w: Any, bits: int) -> Any:
    """Q4_0: blocks of 32, one scale each."""
    return _there_and_back(w, "Q4_0", bits, 4)


def q4_1(w: Any, bits: int) -> Any:
    """Q4_1: blocks of 32, a scale and a minimum each."""
    return _there_and_back(w, "Q4_1", bits, 4)


def q8_0(w: Any, bits: int) -> Any:
    """Q8_0: blocks of 32, too few for its 255 levels, so each weight has a block with the largest one."""
    blocks = np.zeros((w.size, 32), w.dtype)
    flat = w.ravel()
    blocks[:, 0], blocks[:, 1] = flat[np.abs(flat).argmax()], flat
    return _there_and_back(blocks, "Q8_0", bits, 8)[:, 1].reshape(w.shape)


def tq2_0(w: Any, bits: int) -> Any:
    """TQ2_0: ternary, blocks of 256."""
    return _there_and_back(w, "TQ2_0", bits, 2)


def container(folder: str) -> dict[str, Any]:
    """Our codes and scales, written as I8 and F32 and read back."""
    given = shared.read(folder)
    parts = {}
    for name in given.layers:
        parts[f"{name}.codes"] = given.arrays[f"{name}.codes"]
        parts[f"{name}.scale"] = given.arrays[f"{name}.scale"].reshape(1)
    read, size = _written({name: (part, None) for name, part in parts.items()})
    weights = {
        f"weight/{name}": read[f"{name}.codes"].astype(np.float32) * read[f"{name}.scale"]
        for name in given.layers
    }
    return shared.read_back(given, weights, size)


def quantized(folder: str, kind: str) -> dict[str, Any]:
    """Weights of the perceptron in a block format, written and read back."""
    from gguf import GGMLQuantizationType, quants

    given, form = shared.read(folder), GGMLQuantizationType[kind]
    packed = {name: quants.quantize(given.weight(name), form) for name in given.layers}
    read, size = _written({name: (part, form) for name, part in packed.items()})
    weights = {f"weight/{name}": quants.dequantize(read[name], form) for name in given.layers}
    return shared.read_back(given, weights, size)


def _written(parts: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Tensors, each with its format or None, after a file; and the file's size."""
    from gguf import GGUFReader, GGUFWriter

    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "network.gguf")
        writer = GGUFWriter(path, "psgd")
        for title, (part, form) in parts.items():
            writer.add_tensor(title, part, raw_dtype=form)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = {each.name: np.array(each.data) for each in GGUFReader(path).tensors}
        return found, path.stat().st_size


def _there_and_back(w: Any, name: str, bits: int, known: int) -> Any:
    from gguf import GGMLQuantizationType, quants

    shared.only(bits, known)
    kind = GGMLQuantizationType[name]
    return quants.dequantize(quants.quantize(w.astype(np.float32), kind), kind).astype(w.dtype)


QUANTIZERS = {
    "gguf Q4_0": (q4_0, (4,)),
    "gguf Q4_1": (q4_1, (4,)),
    "gguf Q8_0, beside the largest weight": (q8_0, (8,)),
    "gguf TQ2_0": (tq2_0, (2,)),
}

MEETINGS = {
    "gguf as a container, our codes and scales": (container, {}, shared.PERCEPTRON),
    "gguf Q8_0": (quantized, {"kind": "Q8_0"}, shared.PERCEPTRON),
    "gguf Q4_0": (quantized, {"kind": "Q4_0"}, shared.PERCEPTRON),
}
