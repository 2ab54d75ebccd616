"""The page of the peers, made of their records alone."""

from collections.abc import Iterable, Sequence
from typing import Any

from psgd_ref.experiments.shared.tables import markdown

WIDTHS = (8, 4, 3, 2)
_MARKS = {"yes": "✓", "to rounding": "≈", "no": "✗", "not measured": "–"}
# Columns of the functions' table, and the properties that they show.
_PROPERTIES = {
    "0": "zero exact",
    "odd": "odd",
    "idem.": "idempotent",
    "mono.": "monotone",
    "½ step": "half step",
    "±max": "extremes exact",
}
_MISSING = "–"
# What an optimizer is compared with, by its kind; and the distance in ulps from which it is another step.
_OWN = {"step": "SGD", "mirror_step": "mirror step", "PARQ": "PARQ", "nearest target": "PARQ at slope 0"}
_ROUNDING = 1000
# Letters of an error in a cell.
_LONGEST = 60


def page(records: Sequence[dict[str, Any]]) -> str:
    """The page: what was run, what each quantizer is, what each pipeline makes of a network."""
    parts = ["# Peers: what public packages are, and what they make of a network that lies on its grid"]
    parts.append(_INTRODUCTION)
    parts += ["## What was run", _families(records)]
    functions = [each for record in records for each in record["functions"]]
    if functions:
        parts += ["## Quantizers as functions", _FUNCTIONS, _functions(functions)]
    meetings = [each for record in records for each in record["meetings"]]
    if meetings:
        parts += ["## Meetings", _MEETINGS, _meetings(meetings)]
    optimizers = [each for record in records for each in record["optimizers"]]
    if optimizers:
        parts += ["## Optimizers as steps", _OPTIMIZERS, _optimizers(optimizers)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = (
    "Made by `psgd-ref peers --out notebooks/peers` from the [records](records). Each family has an "
    "environment of its own, each peer a process of its own, with one thread on the CPU."
)
_FUNCTIONS = (
    "Found by trying each (`psgd_ref.laws.description.describe`, float32). ✓ to the bit, ≈ to rounding, ✗ "
    "no. "
    "*0*: zero stays exactly zero; *odd*: Q(−w) = −Q(w); *idem.*: a second pass moves nothing; *½ step*: no "
    "weight inside the range moves farther; *±max*: the largest weight comes back. *On our grid*: how far a "
    "weight moves, in steps Δ = max|w|/(2^(b−1) − 1), that lies on the symmetric grid of 2^b − 1 levels. A "
    "counter-example to every ✗ is in the records. ![Staircases](staircases.png)"
)
_MEETINGS = (
    "A convolutional network and a perceptron, trained on the digits towards the symmetric grid of the width "
    "in every layer, rounded to it, and handed over as floats or as integers. A cell: the share of weights "
    "nearer to the integer that went in than to any other; the largest distance from it in steps Δ; and the "
    "test images, of the networks tried, whose predicted digit is not that of the network in float64. "
    "*0 kept*: the share of zeros that are exactly zero in the end, at all widths. *Size*: the file of W4 "
    "against that of the same network in float32. *Time*: a pass of W4 over all test images against one of "
    "the same network in float32 in the same runtime, medians of 25 by turns, one thread; of two networks, "
    "convolutional · perceptron. It is that of one machine, which did other work, and of small networks."
)

_OPTIMIZERS = (
    "*Against*: what of this library took the same 20 steps in float32 from the same 1003 weights, at rate "
    "0.1: w − ηg; with momentum μ = 0.9; with weight decay κ = 0.01 besides; with Nesterov's. `=`: all "
    "weights have the same bits; else the share that have, and the largest distance, in units in the last "
    "place. *Direction*: d in w⁺ = w − ηd + O(η²), of a first step in float64. *c*: in w⁺ = w − ηsg + "
    "c η² s s′ g², s the scale of g: 0 is an Euler step in the weights, as PSGD, 0.25 one in the warped "
    "space, 0.5 mirror descent (claim B3). *At rest*: whether g = 0 leaves the weights. *0*: whether a "
    "weight at 0 stays. "
    "*Claims*: of [the ledger](../../theory/README.md), those kept of the five that a step can be held to "
    "which knows the single target 0, where s = |w|: B3, B4, D6, G1, I1. Counter-examples of the others, or "
    "why they were not tried, are in the records."
)


def _families(records: Sequence[dict[str, Any]]) -> str:
    lines = []
    for record in records:
        about = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
        machine = f"Python {record['python']}, {record['machine']}" if "python" in record else _MISSING
        lines.append([record["family"], about or record.get("error", _MISSING), machine, record["date"]])
    return markdown(("family", "packages", "on", "date"), lines, "llll")


def _functions(records: Sequence[dict[str, Any]]) -> str:
    heads = ("quantizer", "bits", "scale", "shared by", "levels", "ties", *_PROPERTIES, "on our grid (Δ)")
    lines = []
    for record in records:
        head = [record["name"], str(record["bits"])]
        if "error" in record:
            lines.append([*head, record["error"], *[_MISSING] * (len(heads) - 3)])
            continue
        found = record["description"]
        marks = [_MARKS[found["properties"][name]["verdict"]] for name in _PROPERTIES.values()]
        grid = found["on_symmetric_grid"]["error_in_steps"]
        lines.append(
            [
                *head,
                "`" + found["scale"]["rule"].replace("|", "\\|") + "`",
                found["scope"],
                str(found["levels"]["count"]),
                found["ties"],
                *marks,
                _number(grid) if isinstance(grid, float) else str(grid),
            ]
        )
    return markdown(heads, lines, "lrllrl" + "l" * len(_PROPERTIES) + "r")


def _meetings(records: Sequence[dict[str, Any]]) -> str:
    titles = list(dict.fromkeys(record["meeting"] for record in records))
    heads = ("pipeline", "networks", *(f"W{bits}" for bits in WIDTHS), "0 kept", "size", "time")
    lines = []
    for title in titles:
        own = [record for record in records if record["meeting"] == title]
        names = ", ".join(dict.fromkeys(record["network"] for record in own))
        cells = [_cell([record for record in own if record["bits"] == bits]) for bits in WIDTHS]
        four = [record for record in own if record["bits"] == 4]
        lines.append([title, names, *cells, _zeros(own), _size(four), _time(four)])
    return markdown(heads, lines, "ll" + "l" * len(WIDTHS) + "rrr")


def _optimizers(records: Sequence[dict[str, Any]]) -> str:
    variants = list(dict.fromkeys(name for record in records for name in record.get("against", ())))
    heads = ("optimizer", "against", *variants, "direction", "c", "at rest", "0", "claims")
    lines = []
    for record in records:
        head = [record["optimizer"], _OWN[record["kind"]]]
        if "error" in record:
            lines.append([*head, record["error"], *[_MISSING] * (len(heads) - 3)])
            continue
        near = [_bits(record["against"].get(name)) for name in variants]
        lines.append([*head, *near, *(_step(record) if "first" in record else [_MISSING] * 5)])
    return markdown(heads, lines, "ll" + "l" * len(variants) + "lrlll")


def _step(record: dict[str, Any]) -> list[str]:
    first = record["first"]
    kept = [claim for claim, found in record["claims"].items() if found == "holds"]
    order, factor, stays = first["order"], first["factor"], first["zero stays"]
    direction = first["direction"] if factor in (None, 1) else f"{factor:g} {first['direction']}"
    return [
        direction.replace("|", "\\|"),
        _MISSING if order is None else f"{order:g}",
        _MARKS["yes" if first["rests"] == 0 else "to rounding" if first["rests"] < 1e-15 else "no"],
        _MISSING if stays is None else "stays" if stays else "moves",
        ", ".join(kept) or "none",
    ]


def _bits(found: dict[str, Any] | None) -> str:
    """How near two runs are; those that are no rounding apart are different steps."""
    if found is None:
        return _MISSING
    if found["equal"] == 1:
        return "="
    return (
        "another step"
        if found["ulps"] > _ROUNDING
        else f"{100 * found['equal']:.0f} %; {_number(found['ulps'])} ulp"
    )


def _cell(records: Sequence[dict[str, Any]]) -> str:
    errors = list(dict.fromkeys(record["error"] for record in records if "error" in record))
    done = [record for record in records if "error" not in record]
    parts = []
    shown = [record for record in done if "kept" in record]
    if shown:
        kept, weights = _sum(shown, "kept"), _sum(shown, "weights")
        away = max(float(record["error_in_steps"]) for record in shown)
        parts.append(f"{_share(kept, weights)}; {_number(away)} Δ")
    answered = [record for record in done if "differ" in record]
    if answered:
        parts.append(f"{_sum(answered, 'differ')} of {_sum(answered, 'images')} ≠")
    return "; ".join([*parts, *map(_cut, errors)]) or _MISSING


def _zeros(records: Sequence[dict[str, Any]]) -> str:
    shown = [record for record in records if "zeros" in record]
    return _share(_sum(shown, "zeros_kept"), _sum(shown, "zeros")) if shown else _MISSING


def _size(records: Sequence[dict[str, Any]]) -> str:
    own = [record for record in records if "bytes" in record and "float_bytes" in record]
    return f"{_sum(own, 'bytes') / _sum(own, 'float_bytes'):.2f}" if own else _MISSING


def _time(records: Sequence[dict[str, Any]]) -> str:
    ratios = [record["seconds"] / record["float_seconds"] for record in records if "seconds" in record]
    return " · ".join(f"{ratio:.2g}" for ratio in ratios) or _MISSING


def _sum(records: Iterable[dict[str, Any]], name: str) -> int:
    return sum(int(record[name]) for record in records)


def _cut(error: str) -> str:
    """As much of an error as a cell can hold; all of it is in the records."""
    return error if len(error) <= _LONGEST else f"{error[:_LONGEST].rstrip()} …"


def _share(part: int, whole: int) -> str:
    """A share in per cent, 100 for all alone."""
    if part == whole:
        return "100 %"
    return f"{min(100 * part / whole, 99.9):.1f} %"


def _number(value: float) -> str:
    """Two significant digits, all before the point; 0 below a thousandth."""
    return "0" if abs(value) < 1e-3 else f"{value:.0f}" if value >= 100 else f"{value:.2g}"
