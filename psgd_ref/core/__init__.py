"""The mathematics of position-based scaled gradient descent: pure NumPy, any float dtype, any shape."""

from psgd_ref.core.scale import position_scale, volume_strength
from psgd_ref.core.steps import mirror_step, psgd_step, warped_step
from psgd_ref.core.targets import FiniteTargets, Targets, UniformGrid, Zero
from psgd_ref.core.warp import Warp

__all__ = [
    "FiniteTargets",
    "Targets",
    "UniformGrid",
    "Warp",
    "Zero",
    "mirror_step",
    "position_scale",
    "psgd_step",
    "volume_strength",
    "warped_step",
]
