"""What is trained: one trunk of SGD for each seed, and every method from its weights.

20 epochs of SGD, then 8 of each method on a cosine schedule of its own; at two sizes of data and network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.training import PSGD, QAT, SGD, Optimizer, cosine
from psgd_ref.training.optimizers.parq import PARQ
from psgd_ref.training.optimizers.proxquant import ProxQuant
from psgd_ref.training.optimizers.quadratic_pull import QuadraticPull
from psgd_ref.training.optimizers.schedules import ramped

TRUNK_EPOCHS, BRANCH_EPOCHS = 20, 8
# The trunk's schedule would end after 25 epochs, so that it stops where it still learns.
TRUNK_SCHEDULE, TRUNK_RATE = 25, 0.1
WEIGHT_DECAY = 5e-4
RATE, SLOW, FAST = 0.05, 0.02, 0.1
# Fractions of the steps.
RAMP = 0.8

SGD_KIND, PSGD_KIND, PULL_KIND, LSQ_KIND = "SGD", "PSGD", "the same pull, no scale", "LSQ"

Options = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A way to go on from the trunk.

    Parameters
    ----------
    name : str
        As the table shows it.
    make : callable
        From bits, options and steps to the optimiser.
    candidates : list of dict
        The options that are tried on validation images, as many for each method.
    bits : tuple of int
        The widths that it is trained for; empty for one model at every width.
    learns_grid : bool
        Whether it trains through LSQ's quantizers.
    rounds : bool
        Whether it trains nothing, but rounds the model of SGD.
    kind : str
        As the picture groups methods.
    """

    name: str
    make: Callable[[int, Options, int], Optimizer]
    candidates: list[Options]
    bits: tuple[int, ...] = (4, 3, 2)
    learns_grid: bool = False
    rounds: bool = False
    kind: str = PSGD_KIND


def _rate(options: Options, steps: int) -> Any:
    return cosine(options.get("lr", RATE), steps)


def _sgd(bits: int, o: Options, steps: int) -> Optimizer:
    return SGD(_rate(o, steps), 0.9, WEIGHT_DECAY)


def _psgd(grid: Callable[..., Any], **fixed: Any) -> Callable[[int, Options, int], Optimizer]:
    def make(bits: int, o: Options, steps: int) -> Optimizer:
        return PSGD(_rate(o, steps), 0.9, WEIGHT_DECAY, grid(bits), eps=o.get("eps", 0.0), **fixed)

    return make


def _position(bits: int, o: Options, steps: int) -> Optimizer:
    """PSGD on a learned, capped grid; `kappa`: decay to the grid, `at`: gradient from w to w̄."""
    pulled = "kappa" in o
    return PSGD(
        _rate(o, steps),
        grid=MSEGrid(bits),
        eps=o.get("eps", 0.0),
        cap=True,
        refresh="learned",
        gradient_at=_gradient_at(o, steps),
        weight_decay=_pull(o, steps) if pulled else WEIGHT_DECAY,
        decay_target="grid" if pulled else "zero",
    )


def _gradient_at(o: Options, steps: int) -> Any:
    return ramped(1.0, o["at"], steps) if "at" in o else 0.0


def _pull(o: Options, steps: int) -> Any:
    """Grows from `from` of the steps on."""
    return ramped(o["kappa"], RAMP, steps, o.get("from", 0.0))


def _quadratic(bits: int, o: Options, steps: int) -> Optimizer:
    """The same without the scale."""
    return QuadraticPull(
        _rate(o, steps),
        0.9,
        WEIGHT_DECAY,
        MSEGrid(bits),
        pull=_pull(o, steps) if "kappa" in o else 0.0,
        refresh="learned",
        gradient_at=_gradient_at(o, steps),
    )


def _proxquant(bits: int, o: Options, steps: int) -> Optimizer:
    penalty = ramped(o["penalty"], RAMP, steps)
    return ProxQuant(_rate(o, steps), 0.9, WEIGHT_DECAY, MSEGrid(bits), penalty, refresh="learned")


def _parq(bits: int, o: Options, steps: int) -> Optimizer:
    fall = round(o["fall"] * steps)
    return PARQ(_rate(o, steps), 0.9, WEIGHT_DECAY, MSEGrid(bits), fall, o["steepness"], refresh="learned")


def _lsq(bits: int, o: Options, steps: int) -> Optimizer:
    return QAT(_rate(o, steps), 0.9, WEIGHT_DECAY)


_PSGD_TRIALS: list[Options] = [{}, {"lr": SLOW}, {"eps": 0.005}, {"lr": FAST}]
SGD_ROW = Method("SGD", _sgd, [{}, {"lr": SLOW}, {"lr": FAST}, {"lr": 0.2}], (), kind=SGD_KIND)
DOUBLE = Method("SGD, rate × 2", _sgd, [], (), kind=SGD_KIND)
MIN_MAX = Method("PSGD, min-max grid", _psgd(MinMaxGrid), _PSGD_TRIALS)
MSE = Method("PSGD, MSE grid, capped", _psgd(MSEGrid, cap=True), _PSGD_TRIALS)
LEARNED = Method("PSGD, learned grid, capped", _position, _PSGD_TRIALS)
DECAY = Method("PSGD + decay to the grid", _position, [{"kappa": k} for k in (0.02, 0.05, 0.1, 0.2)])
AT_GRID = Method(
    "PSGD, gradient from w to w̄",
    _position,
    [{"at": 0.4}, {"at": 0.2}, {"at": 0.8}, {"at": 0.4, "lr": SLOW}],
)
# First `gradient_at`, then the pull, so that the weights come to lie where the rounded ones were good.
# The order was found on validation images of two other trunks.
_FIRST = {"at": 0.4, "from": 0.4}
THEN_DECAY = Method(
    "PSGD, gradient to w̄, then decay",
    _position,
    [
        {**_FIRST, "kappa": 0.3, "lr": SLOW},
        {**_FIRST, "kappa": 0.5, "lr": SLOW},
        {**_FIRST, "kappa": 0.2, "lr": 0.03},
        {**_FIRST, "kappa": 0.1},
    ],
)
THEN_QUADRATIC = Method(
    "gradient to w̄, then quadratic",
    _quadratic,
    [{**_FIRST, "kappa": k, "lr": SLOW} for k in (0.1, 0.3, 1.0)] + [{**_FIRST, "kappa": 0.1}],
    kind=PULL_KIND,
)
QUADRATIC = Method(
    "quadratic pull", _quadratic, [{"kappa": k} for k in (0.05, 0.2, 0.5, 1.0)], kind=PULL_KIND
)
PROXQUANT = Method(
    "ProxQuant", _proxquant, [{"penalty": p} for p in (3e-4, 1e-3, 3e-3, 1e-2)], kind=PULL_KIND
)
PARQ_ROW = Method(
    "PARQ",
    _parq,
    [
        {"fall": 0.8, "steepness": 10.0},
        {"fall": 0.8, "steepness": 20.0},
        {"fall": 0.5, "steepness": 10.0},
        {"fall": 1.0, "steepness": 10.0},
    ],
    kind=PULL_KIND,
)
LSQ_ROW = Method("LSQ", _lsq, [{}, {"lr": SLOW}, {"lr": 0.01}, {"lr": FAST}], learns_grid=True, kind=LSQ_KIND)
ADAROUND = Method(
    "SGD + AdaRound",
    _sgd,
    [{"steps": 500}, {"steps": 500, "penalty": 0.1}, {"steps": 500, "rate": 1e-3}, {"steps": 1500}],
    rounds=True,
    kind=SGD_KIND,
)
PSGD_ROWS = (MIN_MAX, MSE, LEARNED, DECAY, AT_GRID, THEN_DECAY)
METHODS = (
    SGD_ROW,
    *PSGD_ROWS,
    QUADRATIC,
    THEN_QUADRATIC,
    PROXQUANT,
    PARQ_ROW,
    LSQ_ROW,
    ADAROUND,
)


@dataclass(frozen=True)
class Family:
    """One of eight: the gradient at w or from w to w̄, with or without the scale, with or without the pull."""

    at_grid: bool
    scale: bool
    pull: bool

    @property
    def method(self) -> Method:
        """How it is trained."""
        words = [
            "gradient from w to w̄" if self.at_grid else "gradient at w",
            "scale" if self.scale else "no scale",
            "pull" if self.pull else "no pull",
        ]
        return Method(", ".join(words), _position if self.scale else _quadratic, [], (2,))

    def options(self, decay: Options, quadratic: Options, at: Options) -> Options:
        """From what was chosen for each part alone: nothing more is searched."""
        pull = (decay if self.scale else quadratic) if self.pull else {}
        return {**pull, **(at if self.at_grid else {})}


FAMILY = tuple(Family(a, s, p) for a in (False, True) for s in (False, True) for p in (False, True))
BY_NAME = {m.name: m for m in (*METHODS, DOUBLE, *(f.method for f in FAMILY))}
