"""The ways to sparse models that are compared: each trains, and gives a model for every sparsity asked for.

All share data, network, batches, augmentation, label smoothing, momentum and schedule; what differs is
in `Method` and in the options that the search chose.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from psgd_ref.data import Dataset
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.digits.recipe import BASELINE
from psgd_ref.experiments.shared.methods import Method, Need, method_of
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
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

# A fraction of weights, and a model without them (0: the trained model itself).
Sparse = Iterator[tuple[float, Model]]
# From options, seed and sparsities to the models; the first one is dense where there is one.
Trainer = Callable[[Options, int, Sequence[float]], Sparse]


def network(seed: int) -> Model:
    """Three convolutions of 16, 16 and 32 channels, 7,376 weights.

    The demonstration's ten layers of 8 channels would have 270 weights left at 95 %, and plain pruning
    falls to guessing at 90 %: too narrow to tell methods apart there.
    """
    return convnet(seed=seed)


def _fit(
    model: Model, optimizer: Optimizer, seed: int, tuning: bool = False, objective: Objective | None = None
) -> Model:
    recipe.fit_digits(model, optimizer, FINE_TUNING if tuning else recipe.EPOCHS, seed, objective)
    return model


def _rate(lr: float, tuning: bool = False) -> Callable[[int], float]:
    """A cosine that ends at 0."""
    return cosine(lr, recipe.steps(FINE_TUNING if tuning else recipe.EPOCHS))


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
    objective = Penalized(CrossEntropy(recipe.LABEL_SMOOTHING), [L0Penalty(options["penalty"])])
    _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed, objective=objective)
    yield from _pruned(remove_parametrizations(model), sparsities)


def _snip(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    data = recipe.data()
    images, labels = first_batch(data)
    for sparsity in sparsities:
        model = snip(network(seed), images, labels, sparsity)
        yield sparsity, _fit(model, SGD(_rate(options["lr"]), MOMENTUM, options["weight_decay"]), seed)


def _fine_tuned(options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    dense = _dense(options, seed)
    for sparsity in sparsities:
        model, rate = prune(dense, sparsity), _rate(options["tuning"], tuning=True)
        yield sparsity, _fit(model, SGD(rate, MOMENTUM, options["weight_decay"]), seed, tuning=True)


def _wide_zero(bits: int, options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    o, grid = options, WideZeroGrid(bits, reach=options["reach"])
    psgd = PSGD(_rate(o["lr"]), MOMENTUM, o["weight_decay"], grid, eps=o["eps"], strength="mean-one")
    yield from _pruned(_fit(network(seed), psgd, seed), sparsities)


def first_batch(data: Dataset) -> tuple[Any, Any]:
    """The first training images, whose order is random, and their labels: what SNIP looks at."""
    count = recipe.BATCH_SIZE
    return data.normalise(data.train.images[:count]), data.train.labels[:count]


ONE, EACH = "one for all sparsities", "one for each sparsity"
NO_RETRAINING = "none"
PSGD_PAPER = "Kim, Yoo, Kwak 2020"
_WIDE = "PSGD towards the min-max grid without its levels next to zero, unscaled weight decay"


def _method(
    name: str,
    needs: Need,
    options: str,
    paper: str,
    retraining: str = NO_RETRAINING,
    models: str = ONE,
    targets: tuple[Precision, ...] = (),
) -> Method:
    return Method(
        name, "training", needs, options, paper, targets=targets, retraining=retraining, models=models
    )


def _scratch(name: str, options: str, paper: str) -> Method:
    return _method(name, Need.TRAINING, options, paper)


BASE = _method(BASELINE.name, Need.NOTHING, "magnitude pruning", "-")
PSGD_ZERO = _scratch("PSGD → 0", "target 0, mean-one strength, unscaled weight decay", PSGD_PAPER)
FINE_TUNED = _method(
    "SGD, fine-tuned", Need.LABELS, "magnitude pruning", "Han et al. 2015", f"{FINE_TUNING} epochs", EACH
)
# For pruning alone.
METHODS: tuple[Method, ...] = (
    BASE,
    PSGD_ZERO,
    _scratch("Powerprop", "w = θ|θ|^(α−1)", "Schwarz et al. 2021"),
    _scratch("spred", "w = m·θ, weight decay of both", "Ziyin and Wang 2023"),
    _scratch("L1", "proximal steps", "Daubechies et al. 2004"),
    _scratch("L0", "a hard-concrete gate for each weight", "Louizos et al. 2018"),
    FINE_TUNED,
    _method(
        "SNIP",
        Need.TRAINING,
        "one batch at initialisation",
        "Lee et al. 2019",
        f"all {recipe.EPOCHS} epochs",
        EACH,
    ),
)
# Trained for pruning and for one width at once.
JOINT_METHODS: tuple[Method, ...] = tuple(
    _method(f"{PSGD_ZERO.name} and W{bits}", Need.TRAINING, _WIDE, "ours", targets=(Precision(bits),))
    for bits in (8, 4, 3)
)
# What is done to the batch norms of a pruned model.
NORM_METHODS: tuple[Method, ...] = (
    Method(AS_TRAINED, "batch norm", Need.NOTHING, "statistics of training", "-"),
    Method(
        REESTIMATED,
        "batch norm",
        Need.IMAGES,
        "statistics of the compressed network on the training images",
        "as in Nagel et al. 2022, for trained networks",
    ),
)

_TRAINERS: dict[str, Trainer] = {
    BASE.name: _sgd,
    PSGD_ZERO.name: _psgd,
    "Powerprop": _powerpropagation,
    "spred": _spred,
    "L1": _l1,
    "L0": _l0,
    FINE_TUNED.name: _fine_tuned,
    "SNIP": _snip,
    **{method.name: partial(_wide_zero, method.target.weights or 0) for method in JOINT_METHODS},
}


def train(name: str, options: Options, seed: int, sparsities: Sequence[float]) -> Sparse:
    """Train by a way and give its models, pruned to each of the sparsities.

    Parameters
    ----------
    name : str
        Of `METHODS` or `JOINT_METHODS`.
    options : dict
        The way's hyper-parameters.
    seed : int
        Of initial weights, batches and shifts.
    sparsities : sequence of float
        Fractions of weights to prune, 0 … 1.

    Yields
    ------
    sparsity, model
        First 0 and the dense model, where the way has one.
    """
    return _TRAINERS[name](options, seed, sparsities)


def way_of(name: str) -> Method:
    """The way of that name; KeyError when there is none."""
    return method_of((*METHODS, *JOINT_METHODS), name)


def chosen_options() -> dict[str, Options]:
    """The hyper-parameters that the search chose, by way."""
    return chosen(__package__)
