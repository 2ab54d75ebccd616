"""What was found about one property, and how a counter-example is made small and shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from psgd_ref.core.arguments import Array

YES, ROUNDING, NO, UNKNOWN = "yes", "to rounding", "no", "not measured"


@dataclass(frozen=True)
class Finding:
    """What was found about one property.

    Parameters
    ----------
    verdict
        "yes" (to the bit), "to rounding", "no", or "not measured".
    off
        The largest error found, as a fraction of max|w|.
    w, q
        The smallest tensor found at which it is off, and Q(w); None where there is none.
    instead
        What the property asks for on it.
    """

    name: str
    verdict: str
    off: float = 0.0
    w: Array | None = None
    q: Array | None = None
    instead: str = ""

    def as_json(self) -> dict[str, object]:
        """The finding as one JSON object; numbers that are none as words."""
        shown = None
        if self.w is not None and self.q is not None:
            shown = {"w": _plain(self.w), "q": _plain(self.q), "instead": self.instead}
        return {"verdict": self.verdict, "off": _plain(np.array([self.off]))[0], "counterexample": shown}

    def __str__(self) -> str:
        if self.w is None or self.q is None:
            return self.verdict
        off = f" (off by {self.off:.1g} max|w|)" if self.verdict == ROUNDING else ""
        return f"{self.verdict}{off}: w = {digits(self.w)}, Q(w) = {text(self.q)}, {self.instead}"


def smaller(w: Array, shows: Callable[[Array], bool]) -> Array:
    """A tensor that shows the same with fewer entries and digits, found by one change at a time."""
    changed = True
    while changed:
        changed = False
        for smaller in _changes(w):
            if smaller.any() and shows(smaller):
                w, changed = smaller, True
                break
    return w


def _changes(w: Array) -> Iterator[Array]:
    for i in range(len(w)):
        yield np.delete(w, i)
    for i in range(len(w)):
        for digits in (0, 1, 2, 3):
            rounded = w.copy()
            rounded[i] = float(f"{w[i]:.{digits}e}")
            if rounded[i] == w[i]:
                break  # fewer digits than these have been tried
            yield rounded


def text(w: Array) -> str:
    """A tensor in six digits."""
    return "[" + ", ".join(f"{x:.6g}" if abs(x) < 1e30 else f"{x:.3g}" for x in w.tolist()) + "]"


def digits(w: Array) -> str:
    """Every digit, so that the tensor can be typed in."""
    return "[" + ", ".join(map(str, w)) + "]"


def _plain(w: Array) -> list[float | str]:
    """Numbers for JSON, of which NaN and infinity are none."""
    return [float(x) if np.isfinite(x) else str(float(x)) for x in w]
