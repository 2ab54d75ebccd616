"""What the speed benchmark found, and its tables."""

from dataclasses import asdict, dataclass
from typing import Any

from psgd_ref.experiments.shared.tables import markdown


@dataclass(frozen=True)
class Measured:
    """Another side's seconds (median), the ratio of ours to them with its quartiles, its peak of memory."""

    seconds: float
    ratio: float
    quartiles: tuple[float, float] | None
    bytes: float


@dataclass(frozen=True)
class Row:
    """What was found for one case; seconds are medians.

    Parameters
    ----------
    others, target
        By the name of the side; a case named "… / plain" has a second process of ours. The target is of the
        ratio to PyTorch, to the second process, or, of a cold start, to another build.
    rate, share
        FLOP or bytes a second, and their share of the machine's peak in the same run.
    bytes
        The most memory that our process has held.
    """

    name: str
    seconds: float
    others: dict[str, Measured]
    target: float | None
    rate: float
    unit: str
    share: float
    bytes: float


@dataclass(frozen=True)
class Result:
    """All rows, and the peaks in FLOP or bytes a second."""

    rows: list[Row]
    peaks: dict[str, float]

    def table(self) -> str:
        """The rows as Markdown."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.others))
        heads = ["case", "ms", *(f"to {name} (quartiles)" for name in names), "target", "rate", "of peak"]
        lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        for row in self.rows:
            ratios = [_ratio(row.others.get(name)) for name in names]
            target = "" if row.target is None else f"{row.target:.2f}"
            rate = [f"{row.rate / 1e9:.0f} {row.unit}", f"{row.share:.0%}"] if row.rate else ["", ""]
            cells = [row.name, _milliseconds(row.seconds), *ratios, target, *rate]
            lines.append("| " + " | ".join(cells) + " |")
        peaks = (f"{name} {rate / 1e9:.0f} {unit_of(name)}" for name, rate in self.peaks.items())
        lines += ["", f"Peaks of this run: {', '.join(peaks)}."]
        memory = self._memory(names)
        return "\n".join([*lines, "", memory] if memory else lines)

    def _memory(self, names: list[str]) -> str:
        """The memory of the cases in which whole networks run, as Markdown; empty without such a case."""
        rows = []
        for row in self.rows:
            if row.others and row.rate and row.unit == unit_of("sgemm"):
                others = (row.others.get(name) for name in names)
                rows.append(
                    [row.name, *(f"{each.bytes / 2**20:.0f}" if each else "" for each in (row, *others))]
                )
        if not rows:
            return ""
        return markdown(["peak of memory, MiB", "here", *names], rows, "l" + "r" * (1 + len(names)))

    def as_json(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return {"rows": [asdict(row) for row in self.rows], "peaks": self.peaks}


def _ratio(measured: Measured | None) -> str:
    if measured is None:
        return ""
    low, high = measured.quartiles or (measured.ratio, measured.ratio)
    return f"{measured.ratio:.2f} ({low:.2f}–{high:.2f})"


def _milliseconds(seconds: float) -> str:
    """Three digits, or all whole ones."""
    return f"{1e3 * seconds:.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def unit_of(name: str) -> str:
    return "GB/s" if "triad" in name else "GFLOP/s"
