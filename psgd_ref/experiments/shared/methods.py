"""A method of a comparison: what it needs, what it is trained for, its options, its paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.tables import markdown


class Need(IntEnum):
    """What a method asks for beside a trained model; each includes those before it."""

    NOTHING = 0
    IMAGES = 1
    LABELS = 2
    TRAINING = 3

    def __str__(self) -> str:
        return NEEDS[self]

    @staticmethod
    def read(text: str) -> "Need":
        """The need that was written as this text.

        Raises
        ------
        ValueError
            For any other text.
        """
        return Need(NEEDS.index(text))


NEEDS = ("nothing", "unlabelled data", "labelled data", "training from scratch")


@dataclass(frozen=True)
class Method:
    """A method of a comparison: a way to train, a way to quantize, a treatment of batch norms.

    Parameters
    ----------
    name : str
        As tables show it.
    kind : str
        Which part of a row it is, such as "training", "post-training" or "batch norm".
    needs, activation_needs : Need
        For quantized weights, and for quantized activations besides.
    options : str
        As this comparison uses them.
    paper : str
        Its source.
    targets : tuple of Precision
        The precisions that it can be trained for; empty for full precision.
    grid : str
        What its trained weights are rounded to, of `psgd_ref.compress.GRIDS`.
    retraining : str
        What is trained after a pruning mask is known.
    models : str
        How many trained models serve all sparsities.
    """

    name: str
    kind: str
    needs: Need
    options: str
    paper: str
    activation_needs: Need = Need.NOTHING
    targets: tuple[Precision, ...] = ()
    grid: str = "min-max"
    retraining: str = ""
    models: str = ""

    @property
    def target(self) -> Precision:
        """What it is trained for, the first of several precisions."""
        return self.targets[0] if self.targets else FULL

    def needs_at(self, precision: Precision) -> Need:
        """What it asks for at a precision."""
        return self.needs if precision.activations is None else max(self.needs, self.activation_needs)


def named(methods: Sequence[Method], kind: str, names: Sequence[str] = ()) -> list[Method]:
    """The methods of a kind: those that are named (in any case), or all when none of the kind is."""
    every = [method for method in methods if method.kind == kind]
    lower = {name.lower() for name in names}
    return [method for method in every if method.name.lower() in lower] or every


def check_names(methods: Sequence[Method], names: Sequence[str]) -> None:
    """Raise ValueError, listing the methods, for a name that none has."""
    known = {method.name.lower() for method in methods}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        accepted = ", ".join(method.name for method in methods)
        raise ValueError(f"no method {', '.join(unknown)}; the methods are {accepted}")


def method_of(methods: Sequence[Method], name: str) -> Method:
    """The method of exactly that name.

    Raises
    ------
    KeyError
        When there is none.
    """
    return {method.name: method for method in methods}[name]


def catalogue(tasks: Mapping[str, Sequence[Method]]) -> list[dict[str, str]]:
    """All methods of all tasks, each with what a table shows of it."""
    return [
        {
            "task": task,
            "method": m.name,
            "kind": m.kind,
            "needs": str(m.needs),
            "with activations": str(max(m.needs, m.activation_needs)),
            "options": _options(m),
            "paper": m.paper,
        }
        for task, methods in tasks.items()
        for m in methods
    ]


def listing(tasks: Mapping[str, Sequence[Method]]) -> str:
    """The catalogue as a Markdown table."""
    found = catalogue(tasks)
    lines = [[text.replace("|", "\\|") for text in method.values()] for method in found]
    return markdown(list(found[0]), lines, "lllllll")


def _options(method: Method) -> str:
    if not method.models:
        return method.options
    return f"{method.options}; {method.models}, retraining: {method.retraining}"
