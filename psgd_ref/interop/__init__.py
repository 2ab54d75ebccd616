"""Models in other programs' formats."""

from psgd_ref.interop.safetensors import load_safetensors, save_safetensors
from psgd_ref.interop.state_dict import load_state_dict, state_dict

__all__ = ["load_safetensors", "load_state_dict", "save_safetensors", "state_dict"]
