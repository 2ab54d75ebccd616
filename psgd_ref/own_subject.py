"""The parts of this library's own subject that live above the mathematics: claims G3 and H2.

The laws stand on the mathematics alone and must not import these. `psgd_ref.laws` loads this module by its
name when its own subject is asked for, so that `check()` and `psgd-ref verify` give one answer.
"""

from collections.abc import Callable
from typing import Any

from psgd_ref.compress.grids.aciq import laplace_clip
from psgd_ref.compress.grids.adaptivfloat import magnitudes
from psgd_ref.compress.pruning.prune import prune_array
from psgd_ref.compress.quantization_aware.bayesian_bits import nested_rounding
from psgd_ref.compress.quantization_aware.lsq import step_gradient

PARTS: dict[str, Callable[..., Any]] = {
    "laplace_clip": laplace_clip,
    "adaptive_magnitudes": magnitudes,
    "nested_rounding": nested_rounding,
    "step_gradient": step_gradient,
    "prune": prune_array,
}
