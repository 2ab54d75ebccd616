"""Position-based scaled gradient descent: the mathematics, networks, and tested laws.

    import psgd_ref as pr

gives what one needs most often. Names are imported when they are first used: the import itself takes no time,
and compiles nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psgd_ref import models as models
    from psgd_ref.compress import MinMaxGrid, MSEGrid, prune, quantize
    from psgd_ref.data import Dataset, load
    from psgd_ref.interop import load_model, save
    from psgd_ref.laws import check
    from psgd_ref.training import PSGD, SGD, Adam, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "PSGD",
    "SGD",
    "Adam",
    "Dataset",
    "MSEGrid",
    "MinMaxGrid",
    "check",
    "evaluate",
    "fit",
    "load",
    "load_model",
    "models",
    "prune",
    "quantize",
    "save",
]

# Where each name lives; a name that is not here is a module.
_HOMES = {
    **dict.fromkeys(("PSGD", "SGD", "Adam", "evaluate", "fit"), "training"),
    **dict.fromkeys(("MinMaxGrid", "MSEGrid", "prune", "quantize"), "compress"),
    **dict.fromkeys(("Dataset", "load"), "data"),
    **dict.fromkeys(("load_model", "save"), "interop"),
    "check": "laws",
}
_MODULES = ("analysis", "compress", "core", "data", "interop", "laws", "models", "nn", "training")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"psgd_ref has no {name}; it has {', '.join(__dir__())}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
