"""One property of one law on given inputs: what a counter-example's line of code runs."""

import sys
from typing import Any

import hypothesis
import numpy as np
from hypothesis import Phase
from numpy import array, float32, inf, nan

from psgd_ref.core import FiniteTargets, UniformGrid, Zero
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.strategies import MixingWarp, Placed, Push, Setting
from psgd_ref.laws.ledger import LEDGER
from psgd_ref.laws.methods.foreign import as_subject, load_subject
from psgd_ref.laws.methods.subject import Subject, reference
from psgd_ref.laws.trial import Inputs, Property, Trial, own_settings

# With them the repr of every input is code, after `from psgd_ref.laws.replay import *`.
__all__ = [
    "FiniteTargets",
    "MixingWarp",
    "Placed",
    "Push",
    "Quadratic",
    "Setting",
    "UniformGrid",
    "Zero",
    "array",
    "float32",
    "inf",
    "nan",
    "np",
    "reference",
    "replay",
]


class Replay(Trial):
    """A trial in which one property runs, once, on given inputs; a false one like a true one: it raises."""

    def __init__(self, name: str, inputs: Inputs) -> None:
        super().__init__(examples=1)
        self.name = name
        self.inputs = inputs

    def run(self, prop: Property, subject: Any) -> None:
        """Run the property if it is the one that is asked for."""
        if prop.name != self.name:
            return
        if set(prop.inputs) != set(self.inputs):
            raise ValueError(f"{self.name} takes {', '.join(prop.inputs)}; got {', '.join(self.inputs)}")
        test = hypothesis.given(**prop.inputs)(
            hypothesis.example(**self.inputs)(self._recorded(prop, subject))
        )
        self._count(prop, own_settings(1, phases=[Phase.explicit])(test))


def replay(subject: Any, where: str, /, **inputs: Any) -> None:
    """Hold a subject to one property on given inputs: `replay("mine:step", "B2.remainder", push=…)`.

    subject : anything that `check` accepts, or where it is, "module:Name"
    where   : claim and property
    Raises LawBrokenError where the property is broken, ValueError where there is no such property.
    """
    id, _, name = where.partition(".")
    if id not in LEDGER:
        raise ValueError(f"no claim {id}; the ledger has {', '.join(LEDGER)}")
    trial = Replay(name, inputs)
    LEDGER[id].law(load_subject(subject) if isinstance(subject, str) else as_subject(subject), trial)
    if not trial.ran and name not in trial.declined:
        raise ValueError(f"the law of claim {id} has no property {name!r} for this subject")


def line(subject: Subject, where: str, inputs: Inputs) -> str:
    """The line of code that runs `replay` on these inputs."""
    with np.printoptions(floatmode="unique", threshold=sys.maxsize, linewidth=sys.maxsize):
        given = "".join(f", {name}={value!r}" for name, value in inputs.items())
    return f'from psgd_ref.laws.replay import *; replay({subject.address}, "{where}"{given})'
