"""Mutants of the mathematics, made systematically, and the table of the laws that reject them.

Each function of `psgd_ref.core` that is a part of a subject, with each of six mistakes: a wrong sign, a
factor, ε left out, the cap left out, the target on the other side of the weight, the target of the next cell.
The table is `mutants.csv`, written by `python -m tests.meta.mutants` (minutes); a test reads it.
"""

import csv
import inspect
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from psgd_ref.core import Warp
from psgd_ref.laws import LEDGER, Formulas, LawBrokenError, Subject, Trial

TABLE = Path(__file__).with_name("mutants.csv")
KINDS = ("sign", "factor", "no ε", "no cap", "other side", "next cell")
STEPS = ("psgd_step", "warped_step", "mirror_step")
WARP = ("__call__", "inverse", "derivative", "scale")
PARTS = (
    *STEPS,
    "scale",
    "nearest",
    *(f"warp.{m}" for m in WARP),
    *(f"formulas.{f.name}" for f in fields(Formulas)),
)
# Laws that use a formula on the way to their statement, beside those that name it as their subject.
ALSO = {"formulas.second_order_coefficient": ("B3",), "formulas.box_bound": ("D6",)}

# Mutants that are no mistake: why the mutated function is the function itself, or as good.
NONE = {
    ("formulas.warp_remainder", "no cap"): "a bound: beyond a cap it is larger than needed, and still holds",
    ("formulas.stationary_cdf", "sign"): "",
}


class Displaced:
    """A target set that takes another target for the nearest: the one across the weight, or the next one."""

    def __init__(self, targets, kind):
        self.targets, self.kind = targets, kind

    def position(self, w):
        position = self.targets.position(w)
        side = np.where(np.asarray(w) >= self.targets.value(position), 1.0, -1.0)
        move = side if self.kind == "other side" else np.ones_like(position)
        there = np.isfinite(self.targets.gap(position, move))
        return np.where(there, position + move, position)

    def nearest(self, w):
        return self.value(self.position(w))

    def respaced(self, length):
        return Displaced(self.targets.respaced(length), self.kind)

    def __getattr__(self, name):
        return getattr(self.targets, name)


def _warp(warp, kind):
    """The warp that a mutated function sees in place of the one that it is given."""
    targets, eps, cap = warp.targets, warp.eps, warp.cap
    if kind in ("other side", "next cell"):
        targets = Displaced(targets, kind)
    return Warp(targets, 0.0 if kind == "no ε" else eps, warp.strength, cap and kind != "no cap")


def _changed(result, kind, base=None):
    """A result with the wrong sign, or ten per cent more of it; of a step, of its move."""
    share = -1.0 if kind == "sign" else 1.1
    if isinstance(result, tuple):
        return tuple(share * part for part in result)
    return share * result if base is None else base + share * (result - base)


def mutated(function, kind):
    """The function with one mistake, or None where it has nothing to make that mistake with."""
    names = list(inspect.signature(function).parameters)
    base = "w" if function.__name__.endswith("_step") and names[:2] == ["w", "g"] else None
    takes = {"no ε": {"eps", "warp"}, "no cap": {"cap", "warp"}}.get(kind, {"targets", "warp", "offset", "t"})
    if kind not in ("sign", "factor") and not takes.intersection(names):
        return None
    if kind == "next cell" and not {"targets", "warp"}.intersection(names):
        return None

    def mutant(*args, **options):
        given = inspect.signature(function).bind(*args, **options)
        given.apply_defaults()
        values = given.arguments
        if kind in ("sign", "factor"):
            return _changed(
                function(*given.args, **given.kwargs), kind, None if base is None else values[base]
            )
        if "warp" in values:
            values["warp"] = _warp(values["warp"], kind)
        elif kind == "no ε":
            values["eps"] = values["eps"] * 1e-9  # some formulas refuse 0
        elif kind == "no cap":
            values["cap"] = False
        elif "targets" in values:
            values["targets"] = Displaced(values["targets"], kind)
        else:
            name = "offset" if "offset" in values else "t"
            values[name] = -np.asarray(values[name])
        return function(*given.args, **given.kwargs)

    return mutant


def _mutated_warp(method, kind):
    """A class of warps one method of which makes the mistake."""

    def changed(self, x):
        right = Warp(self.targets, self.eps, self.strength, self.cap)
        if kind in ("sign", "factor"):
            return _changed(getattr(right, method)(x), kind)
        return getattr(_warp(right, kind), method)(x)

    return type("Mutant", (Warp,), {method: changed})


def subject(part, kind):
    """The reference with one mutated part; None where there is no such mutant."""
    right = Subject()
    if part.startswith("formulas."):
        name = part.removeprefix("formulas.")
        changed = mutated(getattr(right.formulas, name), kind)
        return None if changed is None else right.with_formulas(**{name: changed})
    if part.startswith("warp."):
        return replace(right, warp=_mutated_warp(part.removeprefix("warp."), kind))
    changed = mutated(getattr(right, part), kind)
    return None if changed is None else replace(right, **{part: changed})


def claims(part):
    """The claims whose law is about a part."""
    field = "warp" if part.startswith("warp.") else part
    named = [id for id, entry in LEDGER.items() if field in entry.tests]
    return [*named, *(id for id in ALSO.get(part, ()) if id not in named)]


def rejects(id, mutant, examples=60, seed=0):
    """Whether the law of a claim rejects a mutant: by what it states, or because the mutant raises."""
    try:
        LEDGER[id].law(mutant, Trial(examples, seed, shrink=False))
    except LawBrokenError:
        return True
    except Exception:  # what a wrong number leads to in SciPy or NumPy
        return True
    return False


def rows():
    """Part, mutant, the laws that reject it, those that do not, and why none has to."""
    for part in PARTS:
        for kind in KINDS:
            mutant = subject(part, kind)
            if mutant is None:
                continue
            found = {id: rejects(id, mutant) for id in claims(part)}
            killed = " ".join(id for id, dead in found.items() if dead)
            alive = " ".join(id for id, dead in found.items() if not dead)
            yield part, kind, killed, alive, NONE.get((part, kind), "")


if __name__ == "__main__":
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["part", "mistake", "rejected by", "not by", "why none has to"])
        for row in rows():
            writer.writerow(row)
            file.flush()
            if not row[2]:
                print(*row, file=sys.stderr, flush=True)
