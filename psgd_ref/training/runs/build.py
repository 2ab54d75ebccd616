"""What a configuration stands for: its model, its schedule, its optimisers."""

import re
from dataclasses import dataclass

from psgd_ref.compress import QUANTIZERS, Grid, insert_fake_quantizers, named_grid
from psgd_ref.core import Zero
from psgd_ref.data import RECIPES, Dataset
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.adam import Adam
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.parq import PARQ
from psgd_ref.training.optimizers.proxquant import ProxQuant
from psgd_ref.training.optimizers.psgd import PSGD
from psgd_ref.training.optimizers.quadratic_pull import QuadraticPull
from psgd_ref.training.optimizers.schedules import Schedule, constant, cosine, piecewise, ramped
from psgd_ref.training.optimizers.sgd import SGD
from psgd_ref.training.runs.configuration import Configuration

# The perceptron of the paper's figures.
HIDDEN = (50, 20)


def build_model(name: str, shape: tuple[int, ...], classes: int, seed: int = 0) -> Model:
    """The network of that name for images (H, W, C): mlp, convnet, resnet and its depth, vgg and its depth.

    A convnet may name its channels, as convnet-16-32-32-64.

    Raises
    ------
    ValueError
        For another name or depth.
    """
    height, width, channels = shape
    if name == "mlp":
        return mlp((height * width * channels, *HIDDEN, classes), seed)
    if name == "convnet":
        return convnet(channels, classes=classes, seed=seed)
    if re.fullmatch(r"convnet(-\d+)+", name):
        widths = tuple(int(width) for width in name.split("-")[1:])
        return convnet(channels, widths, classes, seed=seed)
    match = re.fullmatch(r"(resnet|vgg)(\d+)", name)
    if match is None:
        raise ValueError(
            f"model must be mlp, convnet, convnet-16-32, resnet8 … resnet56 or vgg11 … vgg19; got {name!r}"
        )
    network = resnet if match[1] == "resnet" else vgg
    return network(int(match[2]), classes, seed, channels)


def model_of(configuration: Configuration, data: Dataset) -> Model:
    """The configuration's model at its initial values, for the images of the data set."""
    shape = data.train.images.shape[1:]
    model = build_model(configuration.model, shape, data.classes, seed=configuration.seed)
    model.pixels, model.augment = (data.mean, data.std), RECIPES[configuration.augment]
    return model


def insert_fake_quantizer(configuration: Configuration, model: Model) -> None:
    """Give the model the quantizers that the configuration trains through. Modifies it."""
    if configuration.quantizer != "none":
        insert_fake_quantizers(
            model, QUANTIZERS[configuration.quantizer], configuration.bits, seed=configuration.seed
        )


@dataclass(frozen=True)
class Phase:
    """Epochs first … last (from 1) with one optimiser."""

    first: int
    last: int
    name: str
    optimizer: Optimizer


def phases(configuration: Configuration, steps: int) -> list[Phase]:
    """The run's optimisers, one after another: plain SGD before `psgd_from`, then PSGD.

    The schedule runs through all phases.

    Parameters
    ----------
    steps
        Of an epoch.

    Raises
    ------
    ValueError
        For values that an optimiser does not accept.
    """
    c, rate = configuration, _schedule(configuration, steps)
    if c.optimizer != "psgd":
        return [Phase(1, c.epochs, c.optimizer, _without_scale(c, rate, steps * c.epochs))]
    to_grid = c.decay_target == "grid"
    scaled = PSGD(
        rate,
        c.momentum,
        ramped(c.weight_decay, c.ramp, steps * c.epochs, c.pull_from) if to_grid else c.weight_decay,
        Zero() if c.target == "zero" else grid_rule(c),
        eps=c.eps,
        strength=c.strength,
        cap=c.cap,
        refresh=c.refresh,
        discretization=c.discretization,
        decay_target=c.decay_target,
        gradient_at=ramped(c.gradient_at, c.pull_from or c.ramp, steps * c.epochs),
    )
    both = [
        Phase(1, min(c.psgd_from - 1, c.epochs), "sgd", SGD(rate, c.momentum, c.weight_decay)),
        Phase(c.psgd_from, c.epochs, "psgd", scaled),
    ]
    return [phase for phase in both if phase.first <= phase.last]


def _without_scale(c: Configuration, rate: Schedule, steps: int) -> Optimizer:
    """The optimisers that do not scale by position; steps : of the whole run."""
    if c.optimizer == "adam":
        return Adam(rate, weight_decay=c.weight_decay)
    if c.optimizer == "sgd":
        return SGD(rate, c.momentum, c.weight_decay)
    if c.optimizer == "parq":
        fall = max(round(c.ramp * steps), 1)
        return PARQ(rate, c.momentum, c.weight_decay, grid_rule(c), fall, refresh=c.refresh)
    kind = QuadraticPull if c.optimizer == "quadratic-pull" else ProxQuant
    pull = ramped(c.pull, c.ramp, steps, c.pull_from)
    return kind(rate, c.momentum, c.weight_decay, grid_rule(c), pull, c.refresh)


def grid_rule(configuration: Configuration) -> Grid:
    """The grid that the configuration's weights are measured on, and drawn to unless the target is zero."""
    return named_grid(configuration.grid)(configuration.bits)


def _schedule(configuration: Configuration, steps: int) -> Schedule:
    c = configuration
    if c.schedule == "cosine":
        return cosine(c.lr, c.epochs * steps, round(c.warmup * steps))
    if c.schedule == "piecewise":
        return piecewise(c.lr, [milestone * steps for milestone in c.milestones], c.factor)
    return constant(c.lr)
