"""What the comparison of training-time methods says, in sentences made from its rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.shared.rows import REESTIMATED, points

COMBINATIONS = {"PSGD → LSQ": "from a PSGD model", "LSQ + PSGD": "with PSGD on latent weights"}
WIDTHS = ("W4A32", "W3A32", "W2A32")


def sentences(found: Sequence[Any]) -> list[str]:
    """Paragraphs: who wins at its own width, what is left at the others, what PSGD and QAT do together.

    found : with `method`, `bits`, `target`, `own`, `batch_norm`, `relative`, `note` and `accuracies`
    Batch norms are re-estimated throughout. Differences are of the same seeds, in points, mean ± standard
    deviation.
    """
    rows = [row for row in found if row.batch_norm == REESTIMATED]
    parts = [_own(rows, bits) for bits in ("W2A32", "W2A2")]
    parts += [_others(rows), _together(rows), _dampening(rows), _notes(rows), _times(rows)]
    return [part for part in parts if part]


def _own(rows: Sequence[Any], bits: str) -> str:
    """At one precision: those trained for it, and the best of the rest."""
    trained = sorted((row for row in rows if row.bits == bits and row.own), key=lambda row: -row.mean)
    rest = sorted((row for row in rows if row.bits == bits and not row.own), key=lambda row: -row.mean)
    if not trained or not rest:
        return ""
    best = trained[0]
    listed = ", ".join(f"{row.method} {_mean(row)}" for row in trained)
    gain = 100 * (np.array(best.accuracies) - np.array(rest[0].accuracies))
    return (
        f"At {bits}, of the methods trained for it: {listed}. The best of the others is {rest[0].method} "
        f"with {_mean(rest[0])}; {best.method} is {points(gain)} points ahead of it{_verdict(gain)}."
    )


def _others(rows: Sequence[Any]) -> str:
    """One model for many widths: the worst of W4, W3 and W2, without retraining."""
    worst = []
    for method in dict.fromkeys(row.method for row in rows):
        cells = {row.bits: row for row in rows if row.method == method}
        if all(bits in cells for bits in WIDTHS):
            worst.append((min(cells[bits].mean for bits in WIDTHS), method, cells))
    if len(worst) < 2:
        return ""
    worst.sort(key=lambda entry: -entry[0])
    first = ", ".join(
        f"{method} ({' / '.join(_mean(cells[bits]) for bits in WIDTHS)})" for _, method, cells in worst[:4]
    )
    text = f"One model for W4, W3 and W2 without retraining, by its worst of the three: {first}"
    lost = [
        f"{method} falls to {_mean(min((cells[b] for b in WIDTHS if not cells[b].own), key=_by_mean))}"
        for _, method, cells in worst
        if method.split(",")[0] in ("LSQ", "LSQ+", "DSQ", "EWGS") and cells[WIDTHS[-1]].own
    ]
    return text + (f". Away from its own width {', '.join(lost)}." if lost else ".")


def _together(rows: Sequence[Any]) -> str:
    """PSGD before QAT, and on its latent weights."""
    parts = []
    for bits in ("W2A32", "W2A2"):
        for name, words in (
            ("PSGD → LSQ", "from a PSGD model"),
            ("LSQ + PSGD", "with PSGD on latent weights"),
        ):
            gain = _gain(rows, name, "LSQ", bits)
            if gain is not None:
                parts.append(f"{points(gain)} points at {bits} {words}{_verdict(gain)}")
    return f"PSGD and LSQ together, against LSQ alone: {'; '.join(parts)}." if parts else ""


def _dampening(rows: Sequence[Any]) -> str:
    gains = {bits: _gain(rows, "LSQ + dampening", "LSQ", bits) for bits in ("W2A32", "W2A2")}
    parts = [
        f"{points(gain)} points at {bits}{_verdict(gain)}" for bits, gain in gains.items() if gain is not None
    ]
    return f"Dampening, against LSQ alone: {'; '.join(parts)}." if parts else ""


def _notes(rows: Sequence[Any]) -> str:
    """Bits that a method chose, and runs that diverged and count as 0."""
    found = dict.fromkeys(f"{row.method}: {row.note}" for row in rows if row.note)
    return f"What the runs left behind (one that diverged counts as 0): {'. '.join(found)}." if found else ""


def _times(rows: Sequence[Any]) -> str:
    times = {row.method: row.relative for row in rows}
    listed = ", ".join(f"{name} {value:.1f}" for name, value in times.items() if round(value, 1) != 1.0)
    return f"Training time, SGD's being 1: {listed}; the others 1.0." if listed else ""


def _gain(rows: Sequence[Any], name: str, against: str, bits: str) -> Array | None:
    """Points by seed, each method trained for that precision."""
    own = {row.method.split(", W")[0]: row for row in rows if row.bits == bits and row.own}
    if name not in own or against not in own:
        return None
    return np.asarray(100 * (np.array(own[name].accuracies) - np.array(own[against].accuracies)))


def _by_mean(row: Any) -> float:
    return float(row.mean)


def _verdict(gain: Array) -> str:
    """Whether a mean is beyond its standard deviation over seeds."""
    spread = gain.std(ddof=1) if len(gain) > 1 else 0.0
    return "" if abs(gain.mean()) > spread else " (within its spread)"


def _mean(row: Any) -> str:
    return f"{100 * row.mean:.1f}"
