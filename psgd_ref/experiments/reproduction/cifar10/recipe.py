"""The runs behind the CIFAR-10 table: SGD to a stated epoch, and from there every method with one budget.

The official code's recipe for ResNet-32 on CIFAR-100, shortened in proportion where fewer epochs are asked
for: 82 of 150 epochs of SGD, the last at a tenth of the rate; then PSGD at the rate 0.01, a tenth of it
from epoch 123 on; batch 128, momentum 0.9, weight decay 1e-4, none at 2 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psgd_ref.core.arguments import whole_number
from psgd_ref.experiments.sweeps.plan import Measure, Run
from psgd_ref.training.runs.configuration import Configuration

OFFICIAL_EPOCHS, SWITCH, SECOND_DROP = 150, 82, 123
RATE, LATE_RATE, WEIGHT_DECAY, BATCH_SIZE = 0.1, 0.01, 1e-4, 128
BITS = (4, 3, 2)
# A branch is looked at on test images, once, at its end: SGD's at every width, the others at their own.
MEASURE = Measure(BITS, grids=("min-max", "mse", "aciq"), reestimate=(False, True), split="test")
LOOK = Measure((), split="validation")
# A model that learned its grid is measured on that one.
AS_LEARNED = replace(MEASURE, bits=(), grids=("min-max",))


@dataclass(frozen=True)
class Branch:
    """A way to go on from the trunk.

    Parameters
    ----------
    name : str
        As the table shows it.
    bits : int or None
        The bit-width it is trained for; None for SGD.
    options : dict
        Of `psgd-ref train`, those that differ from the trunk's.
    """

    name: str
    bits: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def learned(self) -> bool:
        """Whether it learns its grid, too."""
        return "quantizer" in self.options

    @property
    def measure(self) -> Measure:
        """How its models are evaluated."""
        if self.bits is None:
            return MEASURE
        return AS_LEARNED if self.learned else replace(MEASURE, bits=(self.bits,), grids=("min-max", "mse"))


def _psgd(bits: int, words: str = "", **options: Any) -> Branch:
    weight_decay = {"weight_decay": 0.0} if bits == 2 else {}
    return Branch(
        f"PSGD → W{bits}{words}", bits, {"optimizer": "psgd", "bits": bits, **weight_decay, **options}
    )


def _lsq(bits: int) -> Branch:
    # From memory of the paper: half the weight decay at 3 bits, a quarter at 2.
    options = {
        "optimizer": "sgd",
        "quantizer": "lsq",
        "bits": bits,
        "weight_decay": WEIGHT_DECAY / 2 ** (4 - bits),
    }
    return Branch(f"LSQ W{bits}", bits, options)


SGD = Branch("SGD", None, {"optimizer": "sgd"})
BRANCHES = (
    SGD,
    *(_psgd(bits) for bits in BITS),
    _psgd(4, ", λ = 150", strength=150.0),
    *(_lsq(bits) for bits in BITS),
)
# One change each to PSGD → W2, where calibration leaves most to add, and to PSGD → W3: what else might.
CHANGES: dict[str, dict[str, Any]] = {
    "rate × 5": {"lr": 5 * LATE_RATE},
    "batch 32": {"batch_size": 32},
    "no momentum, rate × 10": {"momentum": 0.0, "lr": 10 * LATE_RATE},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "MSE grid, capped": {"grid": "mse", "cap": True},
    "ε = 0.01": {"eps": 0.01},
}
# PSGD's scale is 2 in the mean where weights are spread evenly: does it add more than that rate does?
DOUBLE = Branch("SGD, rate × 2", None, {"optimizer": "sgd", "lr": 2 * LATE_RATE})
ABLATION = (
    DOUBLE,
    *(_psgd(bits, f", {words}", **change) for bits in (2, 3) for words, change in CHANGES.items()),
)


@dataclass(frozen=True)
class Recipe:
    """The table's size.

    Parameters
    ----------
    model : str
        Name of a residual network.
    epochs : int
        Of each run in all, at least 2.
    seeds : tuple of int
        Not empty.
    ablation : bool
        Whether with one change each to PSGD.

    Raises
    ------
    ValueError
        For other values.
    """

    model: str = "resnet20"
    epochs: int = 30
    seeds: tuple[int, ...] = (0, 1)
    ablation: bool = False

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 2)
        if not self.seeds:
            raise ValueError("seeds must not be empty")

    @property
    def trunk_epochs(self) -> int:
        """Epochs of SGD that all branches share."""
        return min(max(self._scaled(SWITCH), 1), self.epochs - 1)

    @property
    def branch_epochs(self) -> int:
        """Epochs of every branch."""
        return self.epochs - self.trunk_epochs

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The methods."""
        return BRANCHES + (ABLATION if self.ablation else ())

    def trunks(self) -> list[Run]:
        """The shared runs, one for each seed."""
        last = self.trunk_epochs - 1
        options = {"optimizer": "sgd", "epochs": self.trunk_epochs, "lr": RATE}
        drops = {"milestones": (last,)} if last else {}
        return [self._run("trunk", LOOK, seed, {**options, **drops}) for seed in self.seeds]

    def runs(self, starts: Sequence[Path]) -> list[tuple[Branch, list[Run]]]:
        """Every branch with its runs, one for each seed.

        Parameters
        ----------
        starts : sequence of Path
            The trunks' checkpoints, one for each seed.
        """
        drop = max(self._scaled(SECOND_DROP) - self.trunk_epochs, 1)
        options = {"epochs": self.branch_epochs, "lr": LATE_RATE, "milestones": (drop,)}
        begun = [
            (seed, {**options, "start": str(start)}) for seed, start in zip(self.seeds, starts, strict=True)
        ]
        return [
            (b, [self._run(b.name, b.measure, seed, {**common, **b.options}) for seed, common in begun])
            for b in self.branches
        ]

    def _scaled(self, epoch: int) -> int:
        return round(epoch * self.epochs / OFFICIAL_EPOCHS)

    def _run(self, name: str, measure: Measure, seed: int, options: dict[str, Any]) -> Run:
        fixed = {
            "data": "cifar10",
            "model": self.model,
            "batch_size": BATCH_SIZE,
            "weight_decay": WEIGHT_DECAY,
        }
        chosen = {**fixed, "schedule": "piecewise", "seed": seed, **options}
        return Run(name, Configuration(**chosen), measure, {"seed": seed})
