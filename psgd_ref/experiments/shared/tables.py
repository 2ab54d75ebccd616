"""Numbers over seeds as text, and Markdown tables."""

from collections.abc import Sequence

import numpy as np

from psgd_ref.core.arguments import Array


def cell(accuracies: Sequence[float]) -> str:
    """Mean ± standard deviation (n − 1) in per cent, without a deviation for one seed.

    Examples
    --------
    >>> cell([0.9, 0.92]), cell([0.9])
    ('91.0 ± 1.4', '90.0')
    """
    spread = f" ± {100 * np.std(accuracies, ddof=1):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * np.mean(accuracies):.1f}{spread}"


def points(gain: Array) -> str:
    """A difference of accuracies, given in points, as mean ± standard deviation."""
    spread = f" ± {gain.std(ddof=1):.1f}" if len(gain) > 1 else ""
    return f"{gain.mean():+.1f}{spread}"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table.

    Parameters
    ----------
    heads : sequence of str
        Of the columns.
    lines : sequence of sequence of str
        The cells, line by line.
    align : str
        "l" or "r" for each column.
    """
    rule = "|".join("---:" if side == "r" else "---" for side in align)
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(heads) + " |", f"|{rule}|", *rows])
