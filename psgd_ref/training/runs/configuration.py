"""The configuration of a training run: every option with its unit, default and accepted values."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psgd_ref.compress import GRIDS, QUANTIZERS
from psgd_ref.core.arguments import choice, fraction, known, real_number, whole_number
from psgd_ref.data import NAMES, RECIPES
from psgd_ref.data.catalogue import own_place
from psgd_ref.training.optimizers.links.position import DISCRETIZATIONS
from psgd_ref.training.optimizers.psgd import DECAY_TARGETS

OPTIMIZERS = ("psgd", "sgd", "adam", "quadratic-pull", "proxquant", "parq")
TARGETS = ("grid", "zero")
PRUNING = ("magnitude", "snip")
# In per cent.
LARGEST_SPARSITY = 100
SCHEDULES = ("cosine", "constant", "piecewise")
# What is usual for a data set: its model and its augmentation; one of a person's own stands last.
OWN = "own"
USUAL = {
    "digits": ("convnet", "shift"),
    "moons": ("mlp", "none"),
    "signals": ("mlp", "none"),
    "mnist": ("convnet", "shift"),
    "fashion-mnist": ("convnet", "shift"),
    "cifar10": ("resnet20", "crop-reflect"),
    "cifar10-16": ("convnet-16-32-32-64", "crop-small"),
    "cifar100": ("resnet32", "crop-reflect"),
    OWN: ("convnet", "none"),
}


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Configuration:
    """All that a run depends on; two runs of the same configuration give the same weights.

    The fields' help texts say what they mean.

    Raises
    ------
    ValueError
        For values that are not accepted.
    """

    data: str = _option(
        "digits",
        f"data set: {', '.join(NAMES)}; or one of your own: a folder of images by class, or an .npz file",
    )
    model: str = _option(
        "", "mlp, convnet, resnet8 … resnet56, vgg11 … vgg19; by default what suits the data"
    )
    optimizer: str = _option("psgd", ", ".join(OPTIMIZERS))
    bits: int = _option(4, "width of PSGD's targets and of the accuracy reported each epoch, 2 … 16")
    target: str = _option(
        "grid", "what PSGD draws weights to: grid, of that many bits, or zero, to be pruned afterwards"
    )
    psgd_from: int = _option(1, "first epoch with PSGD, plain SGD before it; 1: PSGD all the time")
    start: str = _option("", "safetensors file whose weights to begin with, such as a run's checkpoint")
    sparsity: float = _option(0.0, "per cent of the weights to prune before training, and to hold at 0")
    prune: str = _option(
        "magnitude", "which those are: the smallest (magnitude; with `start`: fine-tuning), or snip"
    )
    quantizer: str = _option(
        "none",
        f"train through a quantizer of the weights, of `bits`: none, {', '.join(QUANTIZERS)}; `full` of the "
        "evaluation is then the model as it is, rounded by them",
    )
    epochs: int = _option(20, "how often every training image is seen, SGD's epochs included")
    batch_size: int = _option(128, "images a step")
    lr: float = _option(0.1, "learning rate η at its highest; Adam wants some 0.001")
    schedule: str = _option("cosine", "cosine to 0, constant, or piecewise: times `factor` at each milestone")
    milestones: tuple[int, ...] = _option((), "of the piecewise schedule, in finished epochs, such as 82,123")
    factor: float = _option(0.1, "of the piecewise schedule")
    warmup: float = _option(0.0, "linear rise of the cosine schedule, in epochs")
    momentum: float = _option(0.9, "of SGD and PSGD, in [0, 1)")
    weight_decay: float = _option(1e-4, "weight decay κ, added to the gradient unscaled")
    decay_target: str = _option("zero", f"what PSGD's weight decay pulls to: {', '.join(DECAY_TARGETS)}")
    pull: float = _option(0.01, "strength of quadratic-pull's and proxquant's pull to the grid")
    gradient_at: float = _option(
        0.0, "where PSGD's gradient is taken: 0 at the weights … 1 at the rounded ones, reached by `ramp`"
    )
    ramp: float = _option(
        0.8,
        "fraction of the steps in which decay to the grid, pull and gradient_at grow to their value, 0 … 1",
    )
    pull_from: float = _option(
        0.0,
        "fraction of the steps before decay to the grid or pull begins to grow, 0 … `ramp`; above 0 it is "
        "also where gradient_at reaches its value",
    )
    strength: float | str = _option(
        "",
        "λ of PSGD's scale: a number, volume, mean-one, unimodular or max-normalised; "
        "by default volume, and mean-one for target zero, which has no cells",
    )
    eps: float = _option(0.0, "added to the distance from the target, in the unit of the weights")
    grid: str = _option("min-max", f"rule for the targets: {', '.join(GRIDS)}")
    cap: bool = _option(
        False, "hold PSGD's scale constant outside the outermost targets: false, true (for grids that clip)"
    )
    refresh: int | str = _option(
        1, "fit the targets anew every so many steps; ema, an average of Δ; learned, Δ of least squared error"
    )
    discretization: str = _option("psgd", f"of the flow: {', '.join(DISCRETIZATIONS)}")
    label_smoothing: float = _option(0.0, "label smoothing, in [0, 1)")
    augment: str = _option("", f"{', '.join(RECIPES)}; by default what suits the data")
    seed: int = _option(0, "of first weights, batch order and augmentation")

    def __post_init__(self) -> None:
        place = own_place(self.data)
        if place is not None:
            # So that the run finds it again from any other folder.
            object.__setattr__(self, "data", str(place.absolute()))
        for name, usual in zip(("model", "augment"), USUAL[self.data if place is None else OWN], strict=True):
            if getattr(self, name) == "":
                object.__setattr__(self, name, usual)
        if self.strength == "":
            object.__setattr__(self, "strength", "mean-one" if self.target == "zero" else "volume")
        for name, accepted in _CHOICES.items():
            choice(name, getattr(self, name), accepted)
        for name, (low, high) in _WHOLE.items():
            whole_number(name, getattr(self, name), low, high)
        for name in _REAL:
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        if self.sparsity > LARGEST_SPARSITY:
            raise ValueError(f"sparsity must be a number in [0, {LARGEST_SPARSITY}]; got {self.sparsity!r}")
        for name in ("model", "start"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text; got {getattr(self, name)!r}")
        if not isinstance(self.cap, bool):
            raise ValueError(f"cap must be false or true; got {self.cap!r}")
        if not isinstance(self.milestones, list | tuple):
            raise ValueError(f"milestones must be a list of epochs; got {self.milestones!r}")
        object.__setattr__(
            self, "milestones", tuple(whole_number("milestone", m, 1) for m in self.milestones)
        )
        if isinstance(self.refresh, str) and self.grid == "adaptivfloat":
            raise ValueError(f"refresh {self.refresh!r} is for one Δ; grid 'adaptivfloat' has several")
        for name in ("ramp", "gradient_at", "pull_from"):
            fraction(name, getattr(self, name))
        if self.pull_from > self.ramp:
            raise ValueError(f"pull_from must be at most ramp, {self.ramp!r}; got {self.pull_from!r}")
        # 0.5, 1 and "volume": numbers are stored as floats, so that equal ones compare as equal.
        if not isinstance(self.strength, str):
            object.__setattr__(self, "strength", real_number("strength", self.strength))

    def as_dict(self) -> dict[str, Any]:
        """The options by name, as JSON and TOML hold them."""
        values = dataclasses.asdict(self)
        return {**values, "milestones": list(values["milestones"])}

    def as_toml(self) -> str:
        """The options as a TOML file that `read_toml` reads."""
        # Strings, numbers and lists are written alike in JSON and TOML.
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.as_dict().items())


_CHOICES = {
    "optimizer": OPTIMIZERS,
    "target": TARGETS,
    "decay_target": DECAY_TARGETS,
    "prune": PRUNING,
    "quantizer": ("none", *QUANTIZERS),
    "schedule": SCHEDULES,
    "grid": tuple(GRIDS),
    "discretization": DISCRETIZATIONS,
    "augment": tuple(RECIPES),
}
_WHOLE = {
    "bits": (2, 16),
    "psgd_from": (1, None),
    "epochs": (1, None),
    "batch_size": (1, None),
    "seed": (0, None),
}
_REAL = (
    "lr",
    "factor",
    "warmup",
    "momentum",
    "weight_decay",
    "pull",
    "gradient_at",
    "ramp",
    "pull_from",
    "eps",
    "label_smoothing",
    "sparsity",
)


def configuration(values: Mapping[str, Any]) -> Configuration:
    """A configuration from options by name; ValueError for an unknown name or a value not accepted."""
    known("option", values, (option.name for option in dataclasses.fields(Configuration)))
    return Configuration(**values)


def read_toml(path: Path) -> dict[str, Any]:
    """The options in a TOML file; ValueError when it is not TOML, OSError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from None


def refuse_other(given: Mapping[str, Any], recorded: Mapping[str, Any], where: Path) -> None:
    """Raise ValueError that names the options in which a run's record differs from what is given."""
    names = [name for name in {**recorded, **given} if given.get(name) != recorded.get(name)]
    if names:
        differences = ", ".join(f"{n} = {recorded.get(n)!r} (given: {given.get(n)!r})" for n in names)
        raise ValueError(f"{where} belongs to another configuration: {differences}")
