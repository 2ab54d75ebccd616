"""Where the methods are compared: two sizes of data and network, and how a trunk and a branch are trained."""

from collections.abc import Callable
from dataclasses import dataclass, field

from psgd_ref.compress import LSQ, insert_fake_quantizers
from psgd_ref.data import RECIPES, Dataset
from psgd_ref.experiments.reproduction.branches.recipe import (
    BRANCH_EPOCHS,
    DECAY,
    DOUBLE,
    LEARNED,
    LSQ_ROW,
    METHODS,
    PARQ_ROW,
    QUADRATIC,
    SGD_ROW,
    THEN_DECAY,
    THEN_QUADRATIC,
    TRUNK_EPOCHS,
    TRUNK_RATE,
    TRUNK_SCHEDULE,
    WEIGHT_DECAY,
    Method,
    Options,
)
from psgd_ref.models import convnet, resnet
from psgd_ref.nn import Model
from psgd_ref.training import SGD, Optimizer, cosine, fit


@dataclass(frozen=True)
class Size:
    """Data and network, and which methods are compared there.

    Parameters
    ----------
    name : str
        Of the table.
    data : str
        Of `psgd_ref.data.load`.
    augment : str
        Of `psgd_ref.data.RECIPES`.
    batch_size : int
        Images in a step.
    network : callable
        From channels, classes and seed to the network before its first step.
    words : str
        Data and network in words.
    rows : dict
        The methods by the width that they are trained for, widest first; SGD is the first of each.
    seeds : int
        How many, unless said otherwise.
    searches : bool
        Whether options are searched here; if not, those of the committed search at the other size are used.
    family : bool
        Whether the table has the eight of the family and decay to the grid at every strength.
    """

    name: str
    data: str
    augment: str
    batch_size: int
    network: Callable[[int, int, int], Model] = field(repr=False)
    words: str = field(repr=False)
    rows: dict[int, tuple[Method, ...]] = field(repr=False)
    seeds: int = 5
    searches: bool = True
    family: bool = True

    @property
    def bits(self) -> tuple[int, ...]:
        """The widths that methods are trained for."""
        return tuple(self.rows)

    def begin(self, data: Dataset, seed: int) -> Model:
        """The network before its first step."""
        return self.network(data.train.images.shape[-1], data.classes, seed)


_ALL = (SGD_ROW, DOUBLE, *METHODS[1:])
SMALL = Size(
    name="cifar16",
    data="cifar10-16",
    augment="crop-small",
    batch_size=64,
    network=lambda channels, classes, seed: convnet(channels, (16, 32, 32, 64), classes, seed=seed),
    words="CIFAR-10 at 16 × 16 pixels, 12,000 training images, `convnet(widths=(16, 32, 32, 64))`",
    # At 4 bits, where little is lost, the main ones.
    rows={4: (SGD_ROW, DOUBLE, LEARNED, DECAY, THEN_DECAY, QUADRATIC, LSQ_ROW), 3: _ALL, 2: _ALL},
)
LARGE = Size(
    name="resnet20",
    data="cifar10",
    augment="crop",
    batch_size=128,
    network=lambda channels, classes, seed: resnet(20, classes, seed, channels),
    words="CIFAR-10, 45,000 training images of 32 × 32 pixels, ResNet-20",
    # The main ones: each takes half a core hour.
    rows={
        4: (SGD_ROW, DOUBLE, THEN_DECAY, LSQ_ROW),
        3: (SGD_ROW, DOUBLE, THEN_DECAY, LSQ_ROW),
        2: (SGD_ROW, DOUBLE, THEN_DECAY, THEN_QUADRATIC, PARQ_ROW, LSQ_ROW),
    },
    seeds=2,
    searches=False,
    family=False,
)
SIZES = {size.name: size for size in (SMALL, LARGE)}


def train_trunk(size: Size, data: Dataset, seed: int) -> Model:
    """The model that all methods of a seed begin with."""
    model, steps = size.begin(data, seed), _steps(size, data)
    rate = cosine(TRUNK_RATE, TRUNK_SCHEDULE * steps)
    _fit(size, model, SGD(rate, 0.9, WEIGHT_DECAY), data, TRUNK_EPOCHS, seed)
    return model


def train_branch(
    size: Size, model: Model, data: Dataset, method: Method, bits: int, options: Options, seed: int
) -> None:
    """Train a trunk further by one method. Modifies the model."""
    if method.learns_grid:
        insert_fake_quantizers(model, LSQ, bits, seed=seed)
    optimizer = method.make(bits, options, BRANCH_EPOCHS * _steps(size, data))
    # Other batches than the trunk's last.
    _fit(size, model, optimizer, data, BRANCH_EPOCHS, 100 + seed)


def _steps(size: Size, data: Dataset) -> int:
    return -(-len(data.train) // size.batch_size)


def _fit(size: Size, model: Model, optimizer: Optimizer, data: Dataset, epochs: int, seed: int) -> None:
    fit(
        model,
        optimizer,
        data,
        epochs=epochs,
        batch_size=size.batch_size,
        augment=RECIPES[size.augment],
        seed=seed,
        report=False,
        show_progress=False,
    )
