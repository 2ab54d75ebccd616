"""Data sets and random batches."""

from psgd_ref.core.arguments import choice
from psgd_ref.data.augment import Shift
from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.data.digits import load_digits

NAMES = ("digits",)


def load(name: str) -> Dataset:
    """The data set of that name: digits. Raises ValueError for another name."""
    choice("data set", name, NAMES)
    return load_digits()


__all__ = ["NAMES", "Dataset", "Shift", "Split", "load", "load_digits"]
