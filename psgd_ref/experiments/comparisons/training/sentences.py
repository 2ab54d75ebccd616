"""What the comparison of training-time methods says, in sentences made from its rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.comparisons.training.methods import W2, W2A2
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.shared.tables import points

# Of one model that is not retrained.
WIDTHS = (Precision(4), Precision(3), W2)
PLAIN_QAT = ("LSQ", "LSQ+", "DSQ", "EWGS")


def sentences(found: Sequence[Any]) -> list[str]:
    """Paragraphs: who wins at its own width, what is left at the others, what PSGD and QAT do together.

    Batch norms are re-estimated throughout. Differences are of the same seeds, in points, mean ± standard
    deviation.

    Parameters
    ----------
    found : sequence of rows
        With `method`, `title`, `precision`, `target`, `own`, `batch_norm`, `relative`, `note`, `mean` and
        `accuracies`.
    """
    rows = [row for row in found if row.batch_norm == REESTIMATED]
    parts = [_own(rows, precision) for precision in (W2, W2A2)]
    parts += [_others(rows), _together(rows), _dampening(rows), _notes(rows), _times(rows)]
    return [part for part in parts if part]


def _own(rows: Sequence[Any], precision: Precision) -> str:
    """At one precision: those trained for it, and the best of the rest."""
    here = sorted((row for row in rows if row.precision == precision), key=lambda row: -row.mean)
    trained, rest = [row for row in here if row.own], [row for row in here if not row.own]
    if not trained or not rest:
        return ""
    best = trained[0]
    listed = ", ".join(f"{row.title} {_mean(row)}" for row in trained)
    gain = 100 * (np.array(best.accuracies) - np.array(rest[0].accuracies))
    return (
        f"At {precision}, of the methods trained for it: {listed}. The best of the others is {rest[0].title} "
        f"with {_mean(rest[0])}; {best.title} is {points(gain)} points ahead of it{_verdict(gain)}."
    )


def _others(rows: Sequence[Any]) -> str:
    """One model for many widths: the worst of W4, W3 and W2, without retraining."""
    worst = []
    for title in dict.fromkeys(row.title for row in rows):
        cells = {row.precision: row for row in rows if row.title == title}
        if all(precision in cells for precision in WIDTHS):
            worst.append((min(cells[precision].mean for precision in WIDTHS), title, cells))
    if len(worst) < 2:
        return ""
    worst.sort(key=lambda entry: -entry[0])
    first = ", ".join(
        f"{title} ({' / '.join(_mean(cells[precision]) for precision in WIDTHS)})"
        for _, title, cells in worst[:4]
    )
    text = f"One model for W4, W3 and W2 without retraining, by its worst of the three: {first}"
    lost = [
        f"{title} falls to {_mean(min((cells[p] for p in WIDTHS if not cells[p].own), key=_by_mean))}"
        for _, title, cells in worst
        if cells[W2].method in PLAIN_QAT and cells[W2].own
    ]
    return text + (f". Away from its own width {', '.join(lost)}." if lost else ".")


def _together(rows: Sequence[Any]) -> str:
    """PSGD before QAT, and on its latent weights."""
    parts = []
    for precision in (W2, W2A2):
        for name, words in (
            ("PSGD → LSQ", "from a PSGD model"),
            ("LSQ + PSGD", "with PSGD on latent weights"),
        ):
            gain = _gain(rows, name, "LSQ", precision)
            if gain is not None:
                parts.append(f"{points(gain)} points at {precision} {words}{_verdict(gain)}")
    return f"PSGD and LSQ together, against LSQ alone: {'; '.join(parts)}." if parts else ""


def _dampening(rows: Sequence[Any]) -> str:
    gains = {precision: _gain(rows, "LSQ + dampening", "LSQ", precision) for precision in (W2, W2A2)}
    parts = [
        f"{points(gain)} points at {precision}{_verdict(gain)}"
        for precision, gain in gains.items()
        if gain is not None
    ]
    return f"Dampening, against LSQ alone: {'; '.join(parts)}." if parts else ""


def _notes(rows: Sequence[Any]) -> str:
    """Bits that a method chose, and runs that diverged and count as 0."""
    found = dict.fromkeys(f"{row.title}: {row.note}" for row in rows if row.note)
    return f"What the runs left behind (one that diverged counts as 0): {'. '.join(found)}." if found else ""


def _times(rows: Sequence[Any]) -> str:
    times = {row.title: row.relative for row in rows}
    listed = ", ".join(f"{title} {value:.1f}" for title, value in times.items() if round(value, 1) != 1.0)
    return f"Training time, SGD's being 1: {listed}; the others 1.0." if listed else ""


def _gain(rows: Sequence[Any], name: str, against: str, precision: Precision) -> Array | None:
    """Points by seed, each method trained for that precision."""
    own = {row.method: row for row in rows if row.precision == precision and row.own}
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
