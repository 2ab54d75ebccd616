"""Models in other programs' formats, and in a file of their own.

Names are imported when they are first used: what only runs a file elsewhere compiles nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psgd_ref.interop.layout import load_state_dict, state_dict
    from psgd_ref.interop.model_file import load_model, load_quantized, save
    from psgd_ref.interop.reading.from_torch import from_torch
    from psgd_ref.interop.safetensors import load_safetensors, save_safetensors

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

# Where each name lives.
_HOMES = {
    **dict.fromkeys(("load_model", "load_quantized", "save"), "model_file"),
    "from_torch": "reading.from_torch",
    **dict.fromkeys(("load_safetensors", "save_safetensors"), "safetensors"),
    **dict.fromkeys(("load_state_dict", "state_dict"), "layout"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"psgd_ref.interop has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
