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
    BitCost,
    Dampening,
    FakeQuantizer,
    LSQPlus,
    MinMaxGrid,
    fix_gates,
    insert_fake_quantizers,
    multiplications,
)
from psgd_ref.compress.quantization_aware.fake_quantizer import fake_quantizers
from psgd_ref.data import Shift, load_digits
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.models import convnet
from psgd_ref.nn import Model
from psgd_ref.training import SGD, CrossEntropy, Objective, Penalized, cosine
from psgd_ref.training.gradient_l1 import GradientL1
from psgd_ref.training.halp import fit_halp
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.optimizers.qat import QAT
from psgd_ref.training.progress import Progress
from psgd_ref.training.recipe import Recipe

# Images that ranges of activations start from; the width that Bayesian Bits starts from.
OBSERVED, WIDEST = 500, 8
# Share of the second half in which Bayesian Bits' gates are random, as 30 of 40 epochs in the paper.
RANDOM = 0.75
SGD_NAME, PSGD_W3, PSGD_W2 = (method.name for method in demo.METHODS)


@dataclass(frozen=True)
class Trained:
    """A model as its method leaves it (quantizers in place), and the seconds of CPU that training took."""

    model: Model
    seconds: float


def train(name: str, options: Options, target: Precision | None, seed: int) -> Trained:
    """Train the demonstration's network by a method of `WAYS`, in as many epochs as the demonstration's.

    target : what a quantization-aware method trains for; None for the others and for Bayesian Bits
    """
    begun = process_time()
    model, before = WAYS[name](options, target, seed)
    return Trained(model, before + process_time() - begun)


def _demonstration(name: str, seed: int, epochs: int) -> Model:
    """SGD or PSGD with the demonstration's options."""
    method = next(method for method in demo.METHODS if method.name == name)
    model = convnet(widths=demo.CHANNELS, seed=seed)
    demo.fit_digits(model, method.optimizer(demo.chosen_options()[name], demo.steps(epochs)), epochs, seed)
    return model


@cache
def _first_half(name: str, seed: int) -> tuple[Model, float]:
    """A full-precision start, the same for every quantization-aware method, and its seconds."""
    begun = process_time()
    model = _demonstration(name, seed, demo.EPOCHS // 2)
    return model, process_time() - begun


def _whole(name: str, options: Options, target: Precision | None, seed: int) -> tuple[Model, float]:
    return _demonstration(name, seed, demo.EPOCHS), 0.0


def _gradient_l1(options: Options, target: Precision | None, seed: int) -> tuple[Model, float]:
    model, fixed = convnet(widths=demo.CHANNELS, seed=seed), demo.chosen_options()[SGD_NAME]
    rate = cosine(fixed["lr"], demo.steps(demo.EPOCHS))
    optimizer = SGD(rate, fixed["momentum"], fixed["weight_decay"])
    demo.fit_digits(
        model, optimizer, demo.EPOCHS, seed, GradientL1(options["strength"], demo.LABEL_SMOOTHING)
    )
    return model, 0.0


def _halp(options: Options, target: Precision | None, seed: int) -> tuple[Model, float]:
    model, rate = convnet(widths=demo.CHANNELS, seed=seed), cosine(options["lr"], demo.steps(demo.EPOCHS))
    shift = Shift(demo.SHIFT)
    fit_halp(
        model,
        load_digits(),
        epochs=demo.EPOCHS,
        recipe=Recipe(demo.BATCH_SIZE, demo.LABEL_SMOOTHING, shift),
        seed=seed,
        lr=rate,
        bits=8,
        mu=options["mu"],
    )
    return model, 0.0


def _aware(
    kind: type[FakeQuantizer],
    options: Options,
    target: Precision | None,
    seed: int,
    start: str = SGD_NAME,
    position: bool = False,
) -> tuple[Model, float]:
    """Half of the epochs at full precision, half with quantizers, each with a cosine of its own."""
    assert target is not None
    begun, before = _first_half(start, seed)
    model, epochs = begun.copy(), demo.EPOCHS - demo.EPOCHS // 2
    data = load_digits()
    images = data.normalise(data.train.images[:OBSERVED])
    insert_fake_quantizers(model, kind, target.weights, target.activations, images, seed)
    objective: Objective = CrossEntropy(demo.LABEL_SMOOTHING)
    if "dampening" in options:
        objective = Penalized(objective, [Dampening(options["dampening"], demo.steps(epochs))])
    grid = MinMaxGrid(target.weights) if position else None
    optimizer = QAT(cosine(options["lr"], demo.steps(epochs)), weight_decay=demo.WEIGHT_DECAY, grid=grid)
    demo.fit_digits(model, optimizer, epochs, seed, objective)
    return model, before


def _bayesian_bits(options: Options, target: Precision | None, seed: int) -> tuple[Model, float]:
    begun, before = _first_half(SGD_NAME, seed)
    model = begun.copy()
    learn_bits(model, options, seed, WIDEST)
    return model, before


def learn_bits(model: Model, options: Options, seed: int, activations: int | None = None) -> None:
    """Second half of the epochs, by Bayesian Bits: gates random, then fixed. Modifies the model.

    options     : "lr", "gates" (see `QAT`) and "mu", the price of a bit
    activations : bits that inputs start from; None leaves them whole
    """
    epochs, data = demo.EPOCHS - demo.EPOCHS // 2, load_digits()
    images = data.normalise(data.train.images[:OBSERVED])
    insert_fake_quantizers(model, BayesianBits, WIDEST, activations, images, seed)
    cost = BitCost(options["mu"], multiplications(model, images[0]))
    optimizer = QAT(
        cosine(options["lr"], demo.steps(epochs)), weight_decay=demo.WEIGHT_DECAY, gates=options["gates"]
    )
    progress = Progress.of(model, optimizer.init(model), seed)
    objective = Penalized(CrossEntropy(demo.LABEL_SMOOTHING), [cost])
    shift = Shift(demo.SHIFT)
    for until in (round(RANDOM * epochs), epochs):
        list(
            train_epochs(
                model,
                optimizer,
                data,
                progress,
                until,
                Recipe(demo.BATCH_SIZE, augment=shift),
                objective=objective,
                show_progress=False,
            )
        )
        fix_gates(model)


def bit_operations(model: Model) -> float:
    """Mean over all multiplications of weight bits × activation bits, pruned channels counted as 0.

    The image counts 8 bits, and 32 whatever has no quantizer. W4A4 has 16, and 32 in its first layer.
    """
    data = load_digits()
    macs = multiplications(model, data.normalise(data.train.images[:1])[0])
    weights, inputs = dict.fromkeys(macs, 32.0), dict.fromkeys(macs, 32.0)
    inputs[next(iter(macs))] = 8.0
    for link, quantizer in fake_quantizers(model):
        bits = float(quantizer.bits)
        if isinstance(quantizer, BayesianBits):
            gates, kept = quantizer.open_gates()
            bits = quantizer.widths[int(np.cumprod(gates).sum())] * float(kept.mean())
        (weights if quantizer is link.layer.weight_quantizer else inputs)[link.name] = bits
    return sum(macs[name] * weights[name] * inputs[name] for name in macs) / sum(macs.values())


WAYS: dict[str, Callable[[Options, Precision | None, int], tuple[Model, float]]] = {
    **{method.name: partial(_whole, method.name) for method in demo.METHODS},
    "gradient-L1": _gradient_l1,
    "HALP": _halp,
    "LSQ": partial(_aware, LSQ),
    "LSQ+": partial(_aware, LSQPlus),
    "DSQ": partial(_aware, DSQ),
    "EWGS": partial(_aware, EWGS),
    "LSQ + dampening": partial(_aware, LSQ),
    "PSGD → LSQ": partial(_aware, LSQ, start=PSGD_W2),
    "LSQ + PSGD": partial(_aware, LSQ, position=True),
    "Bayesian Bits": _bayesian_bits,
}
