"""How a flat weight vector falls into parts with targets of their own, for the fused optimiser step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import choice

# No step is smaller, so that w/Δ and 8/Δ stay finite in float32.
SMALLEST_STEP = 1e-30
# What Δ is at the beginning of a step, see `Part`.
REFITS = ("given", "min-max", "learned")
# Blocks are the turns of the threads; three arrays of this many numbers fit in the L2 cache.
_BLOCK = 8192


@dataclass(frozen=True)
class Part:
    """One tensor of the vector, w[start:stop], and its scale s(w) = λ(d + ε).

    Parameters
    ----------
    start, stop
        Its range in the vector.
    channels
        Length of its last axis if every channel has a Δ of its own, else 1.
    levels
        Targets are −levels … levels times Δ; 0 for the target zero alone, None for s = 1 (plain SGD).
    strength
        λ, or "volume" for λ* of `core.scale.volume_strength`.
    eps, cap
        As in `core.Warp`.
    refit
        Δ at the beginning of every step: "min-max" makes it max|w|/levels, "learned" takes it to Σ wk/Σ k²
        for the integers k that the weights have under the Δ before, "given" leaves it.
    """

    start: int
    stop: int
    channels: int = 1
    levels: int | None = None
    strength: float | str = 1.0
    eps: float = 0.0
    cap: bool = False
    refit: str = "min-max"


@dataclass(frozen=True)
class Parts:
    """The parts of a vector, and the same as arrays. A slot is a part, or one channel of it."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Parts":
        """The parts, checked: in order, without overlap.

        Raises
        ------
        ValueError
            For parts out of order or overlapping, broken rows, an unknown refit, or "volume" with a single
            target.
        """
        end = 0
        for part in parts:
            if not end <= part.start <= part.stop:
                raise ValueError(f"parts must follow one another without overlap; got {part} behind {end}")
            end = part.stop
            if part.channels < 1 or (part.stop - part.start) % part.channels:
                raise ValueError(f"a part must be whole rows of its channels; got {part}")
            if part.strength == "volume" and part.levels == 0:
                raise ValueError("strength 'volume' needs at least two targets; give a number instead")
            choice("refit", part.refit, REFITS)
        return cls(tuple(parts))

    @cached_property
    def end(self) -> int:
        """How many numbers the vector has at least."""
        return max((part.stop for part in self.parts), default=0)

    @cached_property
    def slots(self) -> int:
        """How many Δ there are."""
        return sum(part.channels for part in self.parts)

    @cached_property
    def whole(self) -> npt.NDArray[np.int64]:
        """Start, channels, first slot, levels (−1 for None), number in `REFITS` of every part: (parts, 5)."""
        first = np.cumsum([0] + [part.channels for part in self.parts])
        rows = [
            (
                part.start,
                part.channels,
                slot,
                -1 if part.levels is None else part.levels,
                REFITS.index(part.refit),
            )
            for part, slot in zip(self.parts, first, strict=False)
        ]
        return np.array(rows, np.int64).reshape(-1, 5)

    @cached_property
    def real(self) -> npt.NDArray[np.float64]:
        """λ (−1 for volume), ε, and 1 with a cap, else 0, of every part: (parts, 3)."""
        rows = [
            (-1.0 if part.strength == "volume" else float(part.strength), part.eps, float(part.cap))
            for part in self.parts
        ]
        return np.array(rows).reshape(-1, 3)

    @cached_property
    def blocks(self) -> npt.NDArray[np.int64]:
        """Start, stop, part and first finding of every block, whole rows of one part: (blocks, 4)."""
        rows, finding = [], 0
        for index, part in enumerate(self.parts):
            size = part.channels * max(1, _BLOCK // part.channels)
            for start in range(part.start, part.stop, size):
                rows.append((start, min(part.stop, start + size), index, finding))
                finding += part.channels
        return np.array(rows, np.int64).reshape(-1, 4)

    @cached_property
    def findings(self) -> int:
        """What the blocks find out about Δ: one finding for each channel of each block."""
        return sum(self.parts[index].channels for index in self.blocks[:, 2])
