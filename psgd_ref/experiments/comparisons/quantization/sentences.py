"""What the comparison says, in sentences made from its rows: no figure here is written by hand."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.digits.recipe import BASELINE, METHODS
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import points


class Row(Protocol):
    """What a sentence reads off a row."""

    @property
    def trained(self) -> str: ...
    @property
    def post(self) -> str: ...
    @property
    def batch_norm(self) -> str: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def accuracies(self) -> tuple[float, ...]: ...


# Accuracies over seeds by trained model, post-training method, batch norms and precision.
Table = Mapping[tuple[str, str, str, Precision], Array]

# The grid and the statistics calibrated, one by one and together; none of it trains anything.
CALIBRATIONS = (
    ("min-max", AS_TRAINED, "on the min-max grid with batch norms as trained"),
    ("MSE", AS_TRAINED, "with MSE clipping"),
    ("min-max", REESTIMATED, "with batch norms re-estimated"),
    ("MSE", REESTIMATED, "with both"),
)


def sentences(rows: Sequence[Row]) -> list[str]:
    """Paragraphs that answer two questions, each for the precision that a model was trained towards.

    Differences are PSGD minus SGD of the same seed, in points of test accuracy, mean ± standard deviation.
    """
    table = {(r.trained, r.post, r.batch_norm, r.precision): np.array(r.accuracies) for r in rows}
    fault, both = [], []
    for method in METHODS:
        if method != BASELINE:
            fault += _fault(table, BASELINE.name, method.name, method.target)
            both += _same_method(table, BASELINE.name, method.name, method.target, rows)
    paragraphs = []
    if fault:
        paragraphs.append("How much of PSGD's gain is the min-max grid's fault? " + " ".join(fault))
    if both:
        paragraphs.append("PSGD and post-training quantization together: " + " ".join(both))
    return paragraphs


def _fault(table: Table, sgd: str, psgd: str, precision: Precision) -> list[str]:
    gains = {}
    for post, norm, words in CALIBRATIONS:
        pair = [table.get((trained, post, norm, precision)) for trained in (psgd, sgd)]
        if pair[0] is None or pair[1] is None:
            return []
        gains[words] = 100 * (pair[0] - pair[1])
    parts = ", ".join(f"{points(gain)} {words}" for words, gain in gains.items())
    first, *_, last = gains.values()
    return [f"{psgd} at {precision} against SGD: {parts}. {_verdict(first, last)}"]


def _verdict(before: Array, after: Array) -> str:
    """What calibrating the grid and the statistics, which trains nothing, does to a gain."""
    if not _beyond_spread(before):
        return "Before calibration there is no gain beyond its spread."
    if _beyond_spread(-after):
        return "With both calibrated SGD is ahead: the whole gain was the grid's and the statistics'."
    if not _beyond_spread(after):
        return "With both calibrated no gain beyond its spread is left."
    if after.mean() >= before.mean():
        return "Calibrating both does not lessen the gain."
    fraction = 1 - after.mean() / before.mean()
    return f"Calibrating both accounts for {fraction:.0%} of the gain; the rest is PSGD's."


def _beyond_spread(gain: Array) -> bool:
    """Whether a mean gain is positive and larger than its standard deviation over seeds."""
    return bool(gain.mean() > (gain.std(ddof=1) if len(gain) > 1 else 0))


def _same_method(table: Table, sgd: str, psgd: str, precision: Precision, rows: Sequence[Row]) -> list[str]:
    parts = []
    for post in dict.fromkeys(row.post for row in rows):
        pair = [table.get((trained, post, REESTIMATED, precision)) for trained in (psgd, sgd)]
        if pair[0] is not None and pair[1] is not None:
            means = f"{100 * pair[0].mean():.1f} and {100 * pair[1].mean():.1f}"
            parts.append(f"{post} {means} ({points(100 * (pair[0] - pair[1]))})")
    if not parts:
        return []
    return [f"{psgd} and SGD at {precision}, batch norms re-estimated: {', '.join(parts)}."]
