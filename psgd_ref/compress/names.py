"""The grids and the learned quantizers by name, for configurations and the command line."""

from collections.abc import Callable

from psgd_ref.compress.grids.aciq import ACIQGrid
from psgd_ref.compress.grids.adaptivfloat import AdaptivFloatGrid
from psgd_ref.compress.grids.base import Grid
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.compress.grids.mse import MSEGrid
from psgd_ref.compress.quantization_aware.dsq import DSQ
from psgd_ref.compress.quantization_aware.ewgs import EWGS
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer
from psgd_ref.compress.quantization_aware.lsq import LSQ
from psgd_ref.core.arguments import choice

# Rules that take bits and per_channel, and look at nothing but the weights.
GRIDS: dict[str, Callable[..., Grid]] = {
    "min-max": MinMaxGrid,
    "mse": MSEGrid,
    "aciq": ACIQGrid,
    "adaptivfloat": AdaptivFloatGrid,
}


# Those that need nothing but the weights to start from.
QUANTIZERS: dict[str, type[FakeQuantizer]] = {"lsq": LSQ, "dsq": DSQ, "ewgs": EWGS}


def named_grid(name: str) -> Callable[..., Grid]:
    """The rule of that name.

    Raises
    ------
    ValueError
        For another name.
    """
    return GRIDS[choice("grid", name, tuple(GRIDS))]
