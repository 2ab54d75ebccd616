"""How the weight gradient of a convolution is cut: into parts for the threads, into tiles of its products.

Worked out once for images and weights of one shape, from where the convolution reads (`plans.py`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from psgd_ref.kernels.blocks import gradient_shape, height_width, loose_gradient_shape, up
from psgd_ref.kernels.parallel import THREADS
from psgd_ref.kernels.plans import Plan, forward_plan
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import Shape

# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order:
# the bits do not depend on the threads.
PARTS = 16
# Pixels that the weight gradient takes at a time, so that both operands stay in the L1 cache; of small
# images several.
BAND = 128


@dataclass(frozen=True, eq=False)
class GradientPlan:
    """How the weight gradient of a convolution is cut.

    tiles : for every tile its first product and the one behind its last, the first one's offset in a bordered
        image, and the first pixel that has such products and the one behind the last
    steps : distance of every product of a tile from its first, one tile after the other; None where they lie
        next to each other
    sizes : parts, numbers in one, images that are copied at a time, outputs without and with filling
    scratch : how many numbers a thread's images and gradients take
    room : how many numbers all parts and all scratch take
    """

    forward: Plan
    tiles: Indices
    steps: Indices | None
    sizes: tuple[int, int, int, int, int]
    scratch: Pair
    room: int
    tile: Shape


@lru_cache(maxsize=1024)
def gradient_plan(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> GradientPlan:
    """The weight gradient of a convolution of images (N, H, W, C)."""
    plan = forward_plan(x_shape, w_shape, stride, padding, False)
    rows, columns, inputs, outputs = plan.taps
    products, images, pixels, run = plan.products, plan.images[0], plan.images[3] // outputs, columns * inputs
    tile, steps = gradient_shape(outputs), None
    tall, block = height_width(tile)
    cuts = _cut(rows, run, tall)
    # A line of few products leaves most of a tall tile empty.
    loose = loose_gradient_shape(outputs)
    few = _cut(1, rows * run, height_width(loose)[0])
    if 2 * len(few) * height_width(loose)[0] < len(cuts) * tall:
        tile, tall, cuts = loose, height_width(loose)[0], few
        filled = [np.pad(products[a:b], (0, a + tall - b), mode="edge") - products[a] for a, b in cuts]
        steps = np.concatenate(filled)
    bands = [_union(plan.bands[a // run : (b - 1) // run + 1]) for a, b in cuts]
    tiles = [(a, b, products[a], *band) for (a, b), band in zip(cuts, bands, strict=True)]
    padded = up(outputs, block)
    parts, length = max(1, min(PARTS, images)), len(cuts) * tall * padded
    stack = max(1, min(BAND // pixels, images // PARTS))
    # The last tile of a line may read on beyond it; those rows of the sum are left out. A gradient that fills
    # its tiles is read where it lies.
    scratch = (stack * plan.border[0] + tall, stack * pixels * padded if padded != outputs else 0)
    return GradientPlan(
        plan,
        np.array(tiles, np.intp),
        steps,
        (parts, length, stack, outputs, padded),
        scratch,
        parts * length + THREADS * sum(scratch),
        tile,
    )


def _cut(lines: int, run: int, tall: int) -> list[Pair]:
    """Tiles of products, from and to, that end with a line."""
    return [(k, min(k + tall, i + run)) for i in range(0, lines * run, run) for k in range(i, i + run, tall)]


def _union(bands: Indices) -> Pair:
    """From the first to the last of all pixels in the bands."""
    some = bands[bands[:, 0] < bands[:, 1]]
    return (some[:, 0].min(), some[:, 1].max()) if len(some) else (0, 0)
