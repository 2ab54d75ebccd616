"""The recipe that every model on the digits is trained by: network, data, epochs, batches, schedule.

The task is the same for every method. Small batches, shifted images and label smoothing keep the gradient
noisy to the end, which is what clustering depends on (claim E2).
"""

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.core.arguments import Array
from psgd_ref.data import Dataset, Shift, load_digits
from psgd_ref.experiments.shared.methods import Method, Need
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.search_record import Options, chosen
from psgd_ref.models import convnet
from psgd_ref.nn import Model
from psgd_ref.training import PSGD, SGD, CrossEntropy, Objective, Optimizer, cosine, fit
from psgd_ref.training.optimizers.schedules import Schedule, ramped

CHANNELS = (8, 8, 8, 8, 8, 8, 8, 8, 16)
EPOCHS = 40
BATCH_SIZE = 50
LABEL_SMOOTHING = 0.1
SHIFT = 1
WEIGHT_DECAY = 5e-4


def _psgd(bits: int) -> Method:
    options = f"min-max grid of {bits} bits, λ* = 8/Δ, chosen by `psgd-ref demo --search`"
    targets = (Precision(bits),)
    return Method(
        f"PSGD → W{bits}", "training", Need.TRAINING, options, "Kim, Yoo, Kwak 2020", targets=targets
    )


# The paper's, and PSGD with the half that it lacks.
PAPER_METHODS = BASELINE, PSGD_W3, PSGD_W2 = (
    Method("SGD", "training", Need.NOTHING, "the model that everybody has", "-"),
    _psgd(3),
    _psgd(2),
)
GRID_DECAY_W2 = Method(
    "PSGD + grid decay → W2",
    "training",
    Need.TRAINING,
    "learned, capped grid of 2 bits; the gradient moves to the rounded weights in 40 % of the steps, then "
    "weight decay to the nearest target grows, up to 80 %; chosen by `psgd-ref demo --search`",
    "Kim, Yoo, Kwak 2020; claim E5",
    targets=(Precision(2),),
    grid="mse",
)
METHODS = (*PAPER_METHODS, GRID_DECAY_W2)
# Fractions of the steps: where a gradient that moves to the rounded weights arrives, where a pull is whole.
ARRIVAL, RAMP = 0.4, 0.8


def data() -> Dataset:
    """The embedded digits."""
    return load_digits()


def training_images() -> Array:
    """All training images as training shows them, shifted: what batch norms are re-estimated on."""
    return data().as_trained(augment=Shift(SHIFT))


def network(seed: int) -> Model:
    """The network before its first step."""
    return convnet(widths=CHANNELS, seed=seed)


def optimizer(bits: int | None, options: Options, steps: int) -> Optimizer:
    """SGD, or PSGD, with a cosine schedule that ends at 0.

    Parameters
    ----------
    bits : int or None
        Of the targets; None for plain SGD.
    options : dict
        Of `SGD` or `PSGD`; weight decay is the recipe's unless they say otherwise. PSGD is drawn to the
        min-max grid, and with `grid_decay`, the decay to the grid at its strongest, to a learned one; there
        `gradient_at` is where the gradient moves, 0 … 1.
    steps : int
        Of the whole run.
    """
    fixed = {"weight_decay": WEIGHT_DECAY, **options}
    schedule = cosine(fixed.pop("lr"), steps)
    if bits is None:
        return SGD(schedule, **fixed)
    if "grid_decay" not in fixed:
        return PSGD(schedule, grid=MinMaxGrid(bits), **fixed)
    place, pull = place_and_pull(fixed.pop("gradient_at", 0.0), fixed.pop("grid_decay"), steps)
    grid = {"grid": MSEGrid(bits), "refresh": "learned", "cap": True}
    return PSGD(schedule, decay_target="grid", gradient_at=place, **{**fixed, **grid, "weight_decay": pull})


def place_and_pull(gradient_at: float, pull: float, steps: int) -> tuple[float | Schedule, float | Schedule]:
    """Schedules of the gradient's place and of the pull to the grid: first the place, then the pull.

    On a fixed grid a pull moves each weight within its cell and so changes no rounded weight: after the
    gradient has found good ones, it brings the weights to them. A gradient that stays at the weights leaves
    all the time to the pull.
    """
    since = ARRIVAL if gradient_at else 0.0
    return ramped(gradient_at, ARRIVAL, steps), ramped(pull, RAMP, steps, since)


def chosen_options() -> dict[str, Options]:
    """The hyper-parameters that the search chose, by method."""
    return chosen(__package__)


def steps(epochs: int) -> int:
    """How many steps so many epochs are."""
    return epochs * -(-len(data().train) // BATCH_SIZE)


def fit_digits(
    model: Model, optimizer: Optimizer, epochs: int, seed: int, objective: Objective | None = None
) -> None:
    """Train on the digits with the recipe's batches, shifted images and label smoothing.

    Parameters
    ----------
    model : Model
        Modified.
    optimizer : Optimizer
        Whose schedule has `steps(epochs)` steps.
    epochs, seed : int
        Of the run; the seed draws batches and shifts.
    objective : Objective, optional
        What to minimise instead of the smoothed cross-entropy.
    """
    fit(
        model,
        optimizer,
        data(),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        augment=Shift(SHIFT),
        seed=seed,
        objective=objective or CrossEntropy(LABEL_SMOOTHING),
        report=False,
        show_progress=False,
    )
