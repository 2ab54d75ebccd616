"""Every method of the comparison under one name: what it needs, its options, its paper."""

from dataclasses import dataclass
from enum import IntEnum

from psgd_ref.experiments import demo


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
    """A method of one of the three kinds that a row of the table is made of.

    kind             : "training", "post-training" or "batch norm"
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


def _training(method: demo.Method) -> Method:
    if method.bits is None:
        return Method(
            method.name, "training", Need.NOTHING, Need.NOTHING, "the model that everybody has", "-"
        )
    options = f"min-max grid of {method.bits} bits, λ* = 8/Δ, chosen by `psgd-ref demo --search`"
    return Method(method.name, "training", Need.TRAINING, Need.TRAINING, options, "Kim, Yoo, Kwak 2020")


METHODS: tuple[Method, ...] = (
    *(_training(method) for method in demo.METHODS),
    Method(
        "min-max",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "Δ = max|w|/K; activations up to their largest value",
        "the official code of Kim, Yoo, Kwak 2020",
    ),
    Method(
        "MSE",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "least squared error of weights; and of activations",
        "standard",
    ),
    Method(
        "ACIQ",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "Laplace law, channel means corrected; half range for activations",
        "Banner, Nahshan, Soudry 2019",
    ),
    Method(
        "AdaptivFloat",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "⌈n/2⌉ exponent bits, at most 3; the same format for activations",
        "Tambe et al. 2019",
    ),
    Method(
        "LAPQ",
        "post-training",
        Need.LABELS,
        Need.LABELS,
        "512 training images, 100 losses in the joint search, channel means corrected",
        "Nahshan et al. 2020",
    ),
    Method(
        "DFQ",
        "post-training",
        Need.NOTHING,
        Need.NOTHING,
        "min-max grid; activation ranges β + 6|γ|",
        "Nagel et al. 2019",
    ),
    Method("as trained", "batch norm", Need.NOTHING, Need.NOTHING, "statistics of training", "-"),
    Method(
        "re-estimated",
        "batch norm",
        Need.IMAGES,
        Need.IMAGES,
        "statistics of the quantized network on the training images",
        "as in Nagel et al. 2022, for trained networks",
    ),
)


def named(kind: str, names: tuple[str, ...] = ()) -> list[Method]:
    """The methods of a kind: those that are named (in any case), or all when none of the kind is."""
    every = [method for method in METHODS if method.kind == kind]
    wanted = [method for method in every if method.name.lower() in {name.lower() for name in names}]
    return wanted or every


def check_names(names: tuple[str, ...]) -> None:
    """Raise ValueError, listing the methods, for a name that none has."""
    known = {method.name.lower() for method in METHODS}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        accepted = ", ".join(method.name for method in METHODS)
        raise ValueError(f"no method {', '.join(unknown)}; the methods are {accepted}")


def listing() -> str:
    """All methods as a Markdown table."""
    lines = ["| method | kind | needs | with activations | options | paper |", "|---|---|---|---|---|---|"]
    for m in METHODS:
        cells = [m.name, m.kind, str(m.needs), str(max(m.needs, m.activation_needs)), m.options, m.paper]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
