"""Data sets and random batches."""

from psgd_ref.data.augment import RECIPES, Chain, Flip, Shift
from psgd_ref.data.catalogue import NAMES, check, data_folder, entries, fetch, load
from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.data.digits import load_digits
from psgd_ref.data.moons import load_moons
from psgd_ref.data.own import load_own
from psgd_ref.data.signals import load_signals

__all__ = [
    "NAMES",
    "RECIPES",
    "Chain",
    "Dataset",
    "Flip",
    "Shift",
    "Split",
    "check",
    "data_folder",
    "entries",
    "fetch",
    "load",
    "load_digits",
    "load_moons",
    "load_own",
    "load_signals",
]
