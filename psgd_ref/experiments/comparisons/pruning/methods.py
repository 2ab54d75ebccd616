"""The ways to sparse models that are compared: each trains, and gives a model for every sparsity asked for.

All share data, network, batches, augmentation, label smoothing, momentum and schedule; what differs is
in `Way` and in the options that `pruning_search` chose.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psgd_ref.compress import (
    L0Penalty,
    WideZeroGrid,
    gated,
    powerpropagation,
    prune,
    remove_parametrizations,
    snip,
    spred,
)
from psgd_ref.core import Zero
from psgd_ref.data import Dataset, load_digits
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.digits.study import BATCH_SIZE, EPOCHS, LABEL_SMOOTHING, fit_digits, steps
from psgd_ref.experiments.shared.search_record import Options, chosen
from psgd_ref.models import convnet
from psgd_ref.nn import Model
from psgd_ref.training import (
    PSGD,
    SGD,
    CrossEntropy,
    Objective,
    Optimizer,
    Penalized,
    ProximalL1,
    cosine,
)

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
MOMENTUM = 0.9
FINE_TUNING = 10

BASE = "SGD"

# A share of weights, and a model without them (0: the trained model itself).
Sparse = Iterator[tuple[float, Model]]


@dataclass(frozen=True)
class Way:
    """A way to sparse models.

    train      : from options, seed and sparsities to the models; the first one is dense where there is one
    needs      : beside the trained network that everybody has
    retraining : what is trained after the mask is known
    models     : whether one trained model serves all sparsities
    bits       : the width it is trained for, None for none
    """

    name: str
    train: Callable[[Options, int, Sequence[float]], Sparse]
    needs: Need
    retraining: str
    models: str
    options: str
    paper: str
    bits: int | None = None

    @property
    def method(self) -> Method:
        """For the comparisons' list."""
        options = f"{self.options}; {self.models}, retraining: {self.retraining}"
        return Method(self.name, "training", self.needs, self.needs, options, self.paper)


def network(seed: int) -> Model:
    """Three convolutions of 16, 16 and 32 channels, 7,376 weights.

    The demonstration's ten layers of 8 channels would have 270 weights left at 95 %, and plain pruning
    falls to guessing at 90 %: too narrow to tell methods apart there.
    """
    return convnet(seed=seed)


def _fit(
    model: Model, optimizer: Optimizer, seed: int, tuning: bool = False, objective: Objective | None = None
) -> Model:
    fit_digits(model, optimizer, FINE_TUNING if tuning else EPOCHS, seed, objective)
    return model


def _rate(lr: float, tuning: bool = False) -> Callable[[int], float]:
    """A cosine that ends at 0."""
    return cosine(lr, steps(FINE_TUNING if tuning else EPOCHS))


def _pruned(dense: Model, sparsities: Sequence[float]) -> Sparse:
    """Magnitude pruning, all weights ranked together; nothing is retrained."""
    yield 0.0, dense
    for sparsity in sparsities:
        yield sparsity, prune(dense, sparsity)


def _dense(options: Options, seed: int) -> Model:
    return _fit(network(seed), SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed)


def _sgd(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    yield from _pruned(_dense(options, seed), sparsities)


def _psgd(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    o = options
    psgd = PSGD(_rate(o["lr"]), MOMENTUM, o["weight_decay"], Zero(), eps=o["eps"], strength="mean-one")
    yield from _pruned(_fit(network(seed), psgd, seed), sparsities)


def _powerpropagation(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    model = powerpropagation(network(seed), options["alpha"])
    _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed)
    yield from _pruned(remove_parametrizations(model), sparsities)


def _spred(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    model = spred(network(seed), options["start"])
    _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed)
    yield from _pruned(remove_parametrizations(model), sparsities)


def _l1(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    optimizer = ProximalL1(_rate(options["lr"]), MOMENTUM, options["weight_decay"], options["penalty"])
    yield from _pruned(_fit(network(seed), optimizer, seed), sparsities)


def _l0(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    model = gated(network(seed), options["dropped"], seed)
    objective = Penalized(CrossEntropy(LABEL_SMOOTHING), [L0Penalty(options["penalty"])])
    _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed, objective=objective)
    yield from _pruned(remove_parametrizations(model), sparsities)


def _snip(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    data = load_digits()
    images, labels = first_batch(data)
    for sparsity in sparsities:
        model = snip(network(seed), images, labels, sparsity)
        yield sparsity, _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed)


def _fine_tuned(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    dense = _dense(options, seed)
    for sparsity in sparsities:
        model, rate = prune(dense, sparsity), _rate(options["tuning"], tuning=True)
        yield sparsity, _fit(model, SGD(rate, MOMENTUM, options["weight_decay"]), seed, tuning=True)


def _wide_zero(bits: int) -> Callable[[Options, int, Sequence[float]], Sparse]:
    def train(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
        o, grid = options, WideZeroGrid(bits, reach=options["reach"])
        psgd = PSGD(_rate(o["lr"]), MOMENTUM, o["weight_decay"], grid, eps=o["eps"], strength="mean-one")
        yield from _pruned(_fit(network(seed), psgd, seed), sparsities)

    return train


def first_batch(data: Dataset) -> tuple[Any, Any]:
    """The first training images, whose order is random, and their labels: what SNIP looks at."""
    return data.normalise(data.train.images[:BATCH_SIZE]), data.train.labels[:BATCH_SIZE]


ONE, EACH = "one for all sparsities", "one for each sparsity"
_SCRATCH = Need.TRAINING
PSGD_PAPER = "Kim, Yoo, Kwak 2020"
_WIDE = "PSGD towards the min-max grid without its levels next to zero, unscaled decay"
WAYS: tuple[Way, ...] = (
    Way(BASE, _sgd, Need.NOTHING, "none", ONE, "magnitude pruning", "-"),
    Way("PSGD → 0", _psgd, _SCRATCH, "none", ONE, "target 0, mean-one strength, unscaled decay", PSGD_PAPER),
    Way("Powerprop", _powerpropagation, _SCRATCH, "none", ONE, "w = θ|θ|^(α−1)", "Schwarz et al. 2021"),
    Way("spred", _spred, _SCRATCH, "none", ONE, "w = m·θ, decay of both", "Ziyin and Wang 2023"),
    Way("L1", _l1, _SCRATCH, "none", ONE, "proximal steps", "Daubechies et al. 2004"),
    Way("L0", _l0, _SCRATCH, "none", ONE, "a hard-concrete gate for each weight", "Louizos et al. 2018"),
    Way(
        "SGD, fine-tuned",
        _fine_tuned,
        Need.LABELS,
        f"{FINE_TUNING} epochs",
        EACH,
        "magnitude pruning",
        "Han et al. 2015",
    ),
    Way(
        "SNIP",
        _snip,
        _SCRATCH,
        f"all {EPOCHS} epochs",
        EACH,
        "one batch at initialisation",
        "Lee et al. 2019",
    ),
)
# Trained for pruning and for one width at once.
JOINT_WAYS: tuple[Way, ...] = tuple(
    Way(f"PSGD → 0 and W{bits}", _wide_zero(bits), _SCRATCH, "none", ONE, _WIDE, "ours", bits)
    for bits in (8, 4, 3)
)


def way_of(name: str) -> Way:
    """The way of that name; KeyError when there is none."""
    return {way.name: way for way in (*WAYS, *JOINT_WAYS)}[name]


def chosen_options() -> dict[str, Options]:
    """The hyper-parameters that the search chose, by way."""
    return chosen(__package__)
