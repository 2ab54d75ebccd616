"""What the models on Hugging Face are quantized with: compressed-tensors, HQQ, bitsandbytes."""

import tempfile
from pathlib import Path
from typing import Any

from psgd_ref.experiments.peers.families import shared


def compressed_tensors(w: Any, bits: int) -> Any:
    """compressed-tensors' symmetric integers, per tensor: its scale rule, and its fake quantization."""
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    weights = torch.tensor(w, dtype=torch.float32)
    how = QuantizationArgs(num_bits=bits, symmetric=True, strategy="tensor")
    scale, zero = calculate_qparams(weights.min(), weights.max(), how)
    return fake_quantize(weights, scale, zero, how).numpy().astype(w.dtype)


def hqq(w: Any, bits: int) -> Any:
    """HQQ with its default options: groups of 64, zero point fitted."""
    import torch
    from hqq.core.quantize import Quantizer

    weights = torch.tensor(w, dtype=torch.float32)
    codes, meta = Quantizer.quantize(weights, nbits=bits, group_size=64, axis=1, device="cpu")
    meta = {name: part.float() if torch.is_tensor(part) else part for name, part in meta.items()}
    return Quantizer.dequantize(codes, {**meta, "compute_dtype": torch.float32}).numpy().astype(w.dtype)


def bitsandbytes_nf4(w: Any, bits: int) -> Any:
    """bitsandbytes' NF4 in blocks of 64."""
    return _four_bits(w, bits, "nf4")


def bitsandbytes_fp4(w: Any, bits: int) -> Any:
    """bitsandbytes' FP4 in blocks of 64, the default of `quantize_4bit`."""
    return _four_bits(w, bits, "fp4")


def bitsandbytes_8bit(w: Any, bits: int) -> Any:
    """bitsandbytes' 8-bit blockwise codebook."""
    import torch
    from bitsandbytes.functional import dequantize_blockwise, quantize_blockwise

    shared.only(bits, 8)
    codes, state = quantize_blockwise(torch.tensor(w, dtype=torch.float32), blocksize=4096)
    return dequantize_blockwise(codes, state).numpy().astype(w.dtype)


def packed(folder: str) -> dict[str, Any]:
    """Our codes, packed by compressed-tensors into int32, through safetensors and back."""
    import torch
    from compressed_tensors.compressors import pack_quantized
    from safetensors.torch import load_file, save_file

    given, parts = shared.read(folder), {}
    for name in given.layers:
        codes = torch.tensor(given.arrays[f"{name}.codes"])
        parts[f"{name}.packed"] = pack_quantized.pack_to_int32(codes, given.bits)
        parts[f"{name}.scale"] = torch.tensor(given.arrays[f"{name}.scale"])
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "network.safetensors")
        save_file(parts, path)
        read, size = load_file(path), path.stat().st_size
    found: dict[str, Any] = {}
    for name in given.layers:
        shape = torch.Size(given.weight(name).shape)
        codes = pack_quantized.unpack_from_int32(read[f"{name}.packed"], given.bits, shape)
        found[f"weight/{name}"] = (codes.float() * read[f"{name}.scale"]).numpy()
    return shared.read_back(given, found, size)


def four_bit_network(folder: str, kind: str) -> dict[str, Any]:
    """bitsandbytes' `Linear4bit` in place of every linear layer."""
    import bitsandbytes as bnb

    given = shared.read(folder)
    small = shared.torch_network(given)
    found: dict[str, Any] = {}
    for name in given.layers:
        old = getattr(small, name)
        new = bnb.nn.Linear4bit(old.in_features, old.out_features, quant_type=kind)
        new.weight = bnb.nn.Params4bit(old.weight.data, requires_grad=False, quant_type=kind)
        new.bias = old.bias
        small.add_module(name, new.to("cpu"))
        back = bnb.functional.dequantize_4bit(new.weight.data, new.weight.quant_state)
        found[f"weight/{name}"] = back.float().numpy()
    return {**shared.torch_logits(given, small), **found}


def _four_bits(w: Any, bits: int, kind: str) -> Any:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    shared.only(bits, 4)
    # One row would come back as one column.
    flat = torch.tensor(w.ravel(), dtype=torch.float32)
    codes, state = quantize_4bit(flat, blocksize=64, quant_type=kind)
    return dequantize_4bit(codes, state).numpy().reshape(w.shape).astype(w.dtype)


QUANTIZERS = {
    "compressed-tensors, symmetric": (compressed_tensors, (2, 3, 4, 8)),
    "hqq, defaults": (hqq, (2, 4)),
    "bitsandbytes nf4": (bitsandbytes_nf4, (4,)),
    "bitsandbytes fp4": (bitsandbytes_fp4, (4,)),
    "bitsandbytes 8-bit blockwise": (bitsandbytes_8bit, (8,)),
}

MEETINGS = {
    "compressed-tensors packs our codes, through safetensors": (packed, {}, shared.PERCEPTRON),
    "bitsandbytes Linear4bit, fp4 (default)": (four_bit_network, {"kind": "fp4"}, shared.PERCEPTRON),
    "bitsandbytes Linear4bit, nf4": (four_bit_network, {"kind": "nf4"}, shared.PERCEPTRON),
}
