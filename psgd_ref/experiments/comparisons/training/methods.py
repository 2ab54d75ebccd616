"""The training-time methods of the comparison, each as one function of its options, its target and a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from time import process_time

import numpy as np

from psgd_ref.compress import (
    DSQ,
    EWGS,
    LSQ,
    BayesianBits,
    Dampening,
    FakeQuantizer,
    LSQPlus,
    MinMaxGrid,
    MSEGrid,
    insert_fake_quantizers,
    multiplications,
)
from psgd_ref.compress.quantization_aware.fake_quantizer import fake_quantizers
from psgd_ref.data import Shift
from psgd_ref.experiments.comparisons.shared.bit_learning import BAYESIAN_BITS, OBSERVED, WIDEST, learn_bits
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.digits.recipe import BASELINE, PSGD_W2
from psgd_ref.experiments.shared.methods import Method, Need, method_of
from psgd_ref.experiments.shared.precision import MIXED, Precision
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.nn import Model
from psgd_ref.training import SGD, CrossEntropy, Objective, Optimizer, Penalized, cosine
from psgd_ref.training.gradient_l1 import GradientL1
from psgd_ref.training.halp import fit_halp
from psgd_ref.training.optimizers.parq import PARQ
from psgd_ref.training.optimizers.proxquant import ProxQuant
from psgd_ref.training.optimizers.qat import QAT
from psgd_ref.training.optimizers.quadratic_pull import QuadraticPull
from psgd_ref.training.recipe import Recipe

W2, W2A2 = Precision(2), Precision(2, 2)
# Not trained: SGD's model on another grid.
CLIPPED = "SGD + MSE clipping"
_HALVES = "20 epochs by SGD, then 20 with quantizers"


def _method(name: str, needs: Need, options: str, paper: str, targets: tuple[Precision, ...] = ()) -> Method:
    return Method(name, "training", needs, options, paper, max(needs, Need.IMAGES), targets)


def _pulled_method(name: str, options: str, paper: str) -> Method:
    words = f"learned grid of 2 bits, {options}, no scale"
    return Method(name, "training", Need.TRAINING, words, paper, Need.TRAINING, (W2,), "mse")


# Drawn to the grid without PSGD's scale.
PULLED = (
    _pulled_method("quadratic pull", "(κ/2)‖w − w̄‖² ramped over 80 % of the steps", "Yin et al. 2018"),
    _pulled_method(
        "quadratic pull, gradient at w̄",
        "the gradient moves to w̄ in 40 % of the steps, then the pull grows, up to 80 %",
        "Yin et al. 2018",
    ),
    _pulled_method("ProxQuant", "‖w − w̄‖₁ by its proximal map, ramped likewise", "Bai et al. 2019"),
    _pulled_method("PARQ", "piecewise affine map that is ever flatter", "Jin et al. 2025"),
)
METHODS: tuple[Method, ...] = (
    _method(BASELINE.name, Need.NOTHING, "the model that everybody has, on the min-max grid", "-"),
    _method(CLIPPED, Need.NOTHING, "the same model on the grid of least squared error", "-"),
    _method("gradient-L1", Need.TRAINING, "λ‖∂L/∂w‖₁ by Hessian-vector products", "Alizadeh et al. 2020"),
    *recipe.METHODS[1:],
    *PULLED,
    _method("HALP", Need.TRAINING, "offsets of 8 bits; the weights are full-precision", "De Sa et al. 2018"),
    _method("LSQ", Need.LABELS, _HALVES, "Esser et al. 2020", (W2, W2A2)),
    _method("LSQ+", Need.LABELS, _HALVES, "Bhalgat et al. 2020", (W2, W2A2)),
    _method("DSQ", Need.LABELS, _HALVES, "Gong et al. 2019", (W2, W2A2)),
    _method("EWGS", Need.LABELS, f"{_HALVES}, δ = 0.001", "Lee, Kim, Ham 2021", (W2, W2A2)),
    _method("LSQ + dampening", Need.LABELS, _HALVES, "Nagel et al. 2022", (W2, W2A2)),
    _method(
        BAYESIAN_BITS,
        Need.LABELS,
        f"{_HALVES}, of which 5 with fixed gates",
        "van Baalen et al. 2020",
        (MIXED,),
    ),
    _method("PSGD → LSQ", Need.TRAINING, "20 epochs by PSGD → W2, then 20 of LSQ", "both", (W2, W2A2)),
    _method("LSQ + PSGD", Need.LABELS, f"{_HALVES}, latent gradients scaled by position", "both", (W2,)),
)
# Trained with quantizers in place, which stay; the others are rounded after training.
QUANTIZATION_AWARE = frozenset(
    method.name for method in METHODS if method.targets and method not in (*recipe.METHODS, *PULLED)
)


@dataclass(frozen=True)
class Trained:
    """A model as its method leaves it (quantizers in place), and the seconds of CPU that training took."""

    model: Model
    seconds: float


def train(name: str, options: Options, target: Precision, seed: int) -> Trained:
    """Train the demonstration's network by a method of `TRAINERS`, in as many epochs as the demonstration's.

    Parameters
    ----------
    name : str
        The method's.
    options : dict
        Its hyper-parameters.
    target : Precision
        What a quantization-aware method trains for, one of its `targets`.
    seed : int
        Of the initial weights, batches and shifts.
    """
    begun = process_time()
    model, before = TRAINERS[name](options, target, seed)
    return Trained(model, before + process_time() - begun)


def _demonstration(method: Method, seed: int, epochs: int) -> Model:
    """SGD or PSGD with the demonstration's options."""
    model, options = recipe.network(seed), recipe.chosen_options()[method.name]
    recipe.fit_digits(
        model, recipe.optimizer(method.target.weights, options, recipe.steps(epochs)), epochs, seed
    )
    return model


@cache
def _first_half(method: Method, seed: int) -> tuple[Model, float]:
    """A full-precision start, the same for every quantization-aware method, and its seconds."""
    begun = process_time()
    model = _demonstration(method, seed, recipe.EPOCHS // 2)
    return model, process_time() - begun


def _whole(method: Method, options: Options, target: Precision, seed: int) -> tuple[Model, float]:
    return _demonstration(method, seed, recipe.EPOCHS), 0.0


def _gradient_l1(options: Options, target: Precision, seed: int) -> tuple[Model, float]:
    model, fixed = recipe.network(seed), recipe.chosen_options()[BASELINE.name]
    rate = cosine(fixed["lr"], recipe.steps(recipe.EPOCHS))
    optimizer = SGD(rate, fixed["momentum"], fixed["weight_decay"])
    objective = GradientL1(options["strength"], recipe.LABEL_SMOOTHING)
    recipe.fit_digits(model, optimizer, recipe.EPOCHS, seed, objective)
    return model, 0.0


def _pulled(name: str, options: Options, target: Precision, seed: int) -> tuple[Model, float]:
    """SGD with a pull to the learned MSE grid, at SGD's own rate and momentum."""
    model, steps = recipe.network(seed), recipe.steps(recipe.EPOCHS)
    fixed = recipe.chosen_options()[BASELINE.name]
    grid = MSEGrid(target.weights or 2)
    common = (cosine(fixed["lr"], steps), fixed["momentum"], fixed["weight_decay"], grid)
    optimizer: Optimizer
    if name == "PARQ":
        optimizer = PARQ(*common, round(recipe.RAMP * steps), options["steepness"], refresh="learned")
    else:
        place, pull = recipe.place_and_pull(options.get("gradient_at", 0.0), options["pull"], steps)
        if name == "ProxQuant":
            optimizer = ProxQuant(*common, pull, refresh="learned")
        else:
            optimizer = QuadraticPull(*common, pull, refresh="learned", gradient_at=place)
    recipe.fit_digits(model, optimizer, recipe.EPOCHS, seed)
    return model, 0.0


def _halp(options: Options, target: Precision, seed: int) -> tuple[Model, float]:
    model, rate = recipe.network(seed), cosine(options["lr"], recipe.steps(recipe.EPOCHS))
    shift = Shift(recipe.SHIFT)
    fit_halp(
        model,
        recipe.data(),
        epochs=recipe.EPOCHS,
        recipe=Recipe(recipe.BATCH_SIZE, recipe.LABEL_SMOOTHING, shift),
        seed=seed,
        lr=rate,
        bits=8,
        mu=options["mu"],
    )
    return model, 0.0


def _aware(
    kind: type[FakeQuantizer],
    options: Options,
    target: Precision,
    seed: int,
    start: Method = BASELINE,
    position: bool = False,
) -> tuple[Model, float]:
    """Half of the epochs at full precision, half with quantizers, each with a cosine of its own."""
    assert target.weights is not None
    begun, before = _first_half(start, seed)
    model, epochs = begun.copy(), recipe.EPOCHS - recipe.EPOCHS // 2
    data, steps = recipe.data(), recipe.steps(epochs)
    images = data.normalise(data.train.images[:OBSERVED])
    insert_fake_quantizers(model, kind, target.weights, target.activations, images, seed)
    objective: Objective = CrossEntropy(recipe.LABEL_SMOOTHING)
    if "dampening" in options:
        objective = Penalized(objective, [Dampening(options["dampening"], steps)])
    grid = MinMaxGrid(target.weights) if position else None
    optimizer = QAT(cosine(options["lr"], steps), weight_decay=recipe.WEIGHT_DECAY, grid=grid)
    recipe.fit_digits(model, optimizer, epochs, seed, objective)
    return model, before


def _bayesian_bits(options: Options, target: Precision, seed: int) -> tuple[Model, float]:
    begun, before = _first_half(BASELINE, seed)
    model = begun.copy()
    learn_bits(model, options["mu"], seed, WIDEST, options["lr"], options["gates"])
    return model, before


def bit_operations(model: Model) -> float:
    """Mean over all multiplications of weight bits × activation bits, pruned channels counted as 0.

    The image counts 8 bits, and 32 whatever has no quantizer. W4A4 has 16, and 32 in its first layer.
    """
    data = recipe.data()
    macs = multiplications(model, data.normalise(data.train.images[:1])[0])
    weights, inputs = dict.fromkeys(macs, 32.0), dict.fromkeys(macs, 32.0)
    inputs[next(iter(macs))] = 8.0
    for each, quantizer in fake_quantizers(model):
        bits = float(quantizer.bits)
        if isinstance(quantizer, BayesianBits):
            gates, kept = quantizer.open_gates()
            bits = quantizer.widths[int(np.cumprod(gates).sum())] * float(kept.mean())
        (weights if quantizer is each.layer.weight_quantizer else inputs)[each.name] = bits
    return sum(macs[name] * weights[name] * inputs[name] for name in macs) / sum(macs.values())


def targets(name: str) -> tuple[Precision, ...]:
    """What a method is trained for in turn; full precision where it has no targets."""
    method = method_of(METHODS, name)
    return method.targets or (method.target,)


TRAINERS: dict[str, Callable[[Options, Precision, int], tuple[Model, float]]] = {
    **{method.name: partial(_whole, method) for method in recipe.METHODS},
    **{method.name: partial(_pulled, method.name) for method in PULLED},
    "gradient-L1": _gradient_l1,
    "HALP": _halp,
    "LSQ": partial(_aware, LSQ),
    "LSQ+": partial(_aware, LSQPlus),
    "DSQ": partial(_aware, DSQ),
    "EWGS": partial(_aware, EWGS),
    "LSQ + dampening": partial(_aware, LSQ),
    "PSGD → LSQ": partial(_aware, LSQ, start=PSGD_W2),
    "LSQ + PSGD": partial(_aware, LSQ, position=True),
    BAYESIAN_BITS: _bayesian_bits,
}
