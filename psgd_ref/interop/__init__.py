"""Models in other programs' formats, and in a file of their own."""

from psgd_ref.interop.model_file import load_model, load_quantized, save
from psgd_ref.interop.reading import from_torch
from psgd_ref.interop.safetensors import load_safetensors, save_safetensors
from psgd_ref.interop.state_dict import load_state_dict, state_dict

__all__ = [
    "from_torch",
    "load_model",
    "load_quantized",
    "load_safetensors",
    "load_state_dict",
    "save",
    "save_safetensors",
    "state_dict",
]
