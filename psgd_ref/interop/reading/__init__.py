"""Networks of PyTorch, read as models: their layers, their connections, their weights."""

from psgd_ref.interop.reading.from_torch import from_torch

__all__ = ["from_torch"]
