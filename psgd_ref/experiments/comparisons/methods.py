"""What a comparison knows of its methods: what each needs, its options, its paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from psgd_ref.experiments.shared.rows import markdown


class Need(IntEnum):
    """What a method asks for beside a trained model; each includes those before it."""

    NOTHING = 0
    IMAGES = 1
    LABELS = 2
    TRAINING = 3

    def __str__(self) -> str:
        return ("nothing", "unlabelled data", "labelled data", "training from scratch")[self]


@dataclass(frozen=True)
class Method:
    """A method of a task.

    kind             : which part of a row it is, such as "training", "post-training" or "batch norm"
    needs            : for the weights
    activation_needs : when activations are quantized, too
    options          : as this comparison uses them
    """

    name: str
    kind: str
    needs: Need
    activation_needs: Need
    options: str
    paper: str


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


def listing(tasks: Mapping[str, Sequence[Method]]) -> str:
    """All methods of all tasks as a Markdown table."""
    lines = [
        [
            task,
            m.name.replace("|", "\\|"),
            m.kind,
            str(m.needs),
            str(max(m.needs, m.activation_needs)),
            m.options.replace("|", "\\|"),
            m.paper,
        ]
        for task, methods in tasks.items()
        for m in methods
    ]
    heads = ["task", "method", "kind", "needs", "with activations", "options", "paper"]
    return markdown(heads, lines, "lllllll")
