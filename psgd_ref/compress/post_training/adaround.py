"""AdaRound: which weights to round up, layer by layer, so that each layer's output changes least."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.graph import WeightLayer, weight_layers
from psgd_ref.compress.grids.base import Grid
from psgd_ref.compress.grids.mse import MSEGrid
from psgd_ref.compress.post_training.quantize import QuantizedModel, quantize
from psgd_ref.compress.post_training.tensor import QuantizedTensor
from psgd_ref.compress.watch import watched_inputs
from psgd_ref.core.arguments import Array, real_number, some_images, whole_number
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model
from psgd_ref.nn.weighted import Weighted

# The stretched sigmoid's ends, so that 0 and 1 are reached, and the penalty's exponent at start and end.
LOWEST, HIGHEST = -0.1, 1.1
FIRST_POWER, LAST_POWER = 20.0, 2.0
# For this fraction of the steps, the first ones, there is no penalty that decides between up and down.
FREE = 0.2


@dataclass(frozen=True)
class AdaRound:
    """How rounding is learned; the defaults are the official ones, except for fewer steps at a higher rate.

    Parameters
    ----------
    steps, batch_size
        Steps of Adam for each layer (≥ 1), and images in each (≥ 1).
    lr
        Adam's rate, > 0.
    penalty
        Strength of Σ 1 − |2h − 1|^β beside the squared error, ≥ 0.
    seed
        Of the order of the images.
    """

    steps: int = 1000
    batch_size: int = 32
    lr: float = 1e-2
    penalty: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("steps", self.steps, 1)
        whole_number("batch_size", self.batch_size, 1)
        real_number("lr", self.lr, positive=True)
        real_number("penalty", self.penalty)
        whole_number("seed", self.seed, 0)


def adaround(
    model: Model,
    images: Array,
    bits: int = 4,
    grid: Callable[..., Grid] = MSEGrid,
    options: AdaRound | None = None,
) -> QuantizedModel:
    """A quantized copy in which every weight is rounded up or down, whichever serves its layer's output.

    For each layer in forward order, with W̃ = Δ clip(⌊W/Δ⌋ + h(V), −K, K), K = 2^(b−1) − 1,
    minimise  mean over images and positions of Σ a² (W̃ ∗ x̂ − W ∗ x)²  +  penalty · Σ 1 − |2h(V) − 1|^β,
    where h(V) = clip(1.2 σ(V) − 0.1, 0, 1), x is the layer's input in the original network, x̂ that in the
    network quantized so far, a the factor of the batch norm after it, and β falls from 20 to 2.

    Parameters
    ----------
    model
        A trained model; it stays as it is.
    images
        (N, H, W, C) or (N, I) as the model takes them; no labels.
    bits, grid
        As in `quantize`; 8 bits in the first and last layer below 4. The grid must be uniform.
    options
        An `AdaRound`, by default `AdaRound()`.

    Raises
    ------
    ValueError
        For no images or images that are not finite, a grid that is not uniform, or a model whose weights were
        pruned.

    Source
    ------
    Nagel, Amjad, van Baalen, Louizos, Blankevoort 2020. Biases are rounded to nearest; a ReLU after the layer
    is left out of the error.
    """
    check_model(model)
    some_images(images, "AdaRound")
    if model.mask is not None:
        raise ValueError("a pruned weight that is rounded up would not be pruned; got a model with a mask")
    options = options or AdaRound()
    quantized = quantize(model, bits, grid)
    rng = np.random.default_rng(options.seed)
    for before, after in zip(weight_layers(model), weight_layers(quantized), strict=True):
        name = _weight_name(after)
        tensor = quantized.quantized.get(name)
        if tensor is None:
            continue
        wanted = before.layer.product(_input(model, before, images), before.layer.weight.value, None)
        x = _input(quantized, after, images)
        codes = _learn(after, before.layer.weight.value, x, wanted, tensor, options, rng)
        quantized.quantized[name] = replace(tensor, codes=codes)
        after.layer.weight.value[...] = quantized.quantized[name].values
    return quantized


def _learn(
    each: WeightLayer,
    w: Array,
    x: Array,
    wanted: Array,
    tensor: QuantizedTensor,
    options: AdaRound,
    rng: np.random.Generator,
) -> npt.NDArray[np.signedinteger]:
    """The codes of one layer's weights."""
    if tensor.levels is not None:
        raise ValueError(f"AdaRound needs a uniform grid; {each.name} has a table of levels")
    last = 2 ** (tensor.bits - 1) - 1
    position = w.astype(np.float64) / tensor.scale
    floor = np.floor(position)
    start = np.clip((position - floor - LOWEST) / (HIGHEST - LOWEST), 1e-6, 1 - 1e-6)
    v = np.log(start / (1 - start))
    m, u = np.zeros_like(v), np.zeros_like(v)
    factor = np.square(_factor(each, wanted.shape[-1]))
    for step in range(options.steps):
        chosen = rng.integers(0, len(x), min(options.batch_size, len(x)))
        h, slope = _rounding(v)
        soft = np.clip(floor + h, -last, last)
        rounded = (soft * tensor.scale).astype(w.dtype)
        dw = _error_gradient(each.layer, x[chosen], wanted[chosen], rounded, factor)
        gradient = dw * tensor.scale * slope * (np.abs(floor + h) <= last)
        gradient += options.penalty * _penalty_slope(h, step / options.steps) * slope
        m += 0.1 * (gradient - m)
        u += 0.001 * (gradient**2 - u)
        # Adam, bias-corrected (Kingma and Ba 2015).
        fresh, spread = m / (1 - 0.9 ** (step + 1)), u / (1 - 0.999 ** (step + 1))
        v -= options.lr * fresh / (np.sqrt(spread) + 1e-8)
    up = _rounding(v)[0] >= 0.5
    codes: npt.NDArray[np.signedinteger] = np.clip(floor + up, -last, last).astype(tensor.codes.dtype)
    return codes


def _error_gradient(layer: Weighted, x: Array, wanted: Array, w: Array, factor: Array) -> Array:
    """∂/∂W of the mean over images and positions of Σ_c factor_c (W ∗ x − wanted)²."""
    error = layer.product(x, w, None) - wanted
    dy = (2 * factor / (error.size // error.shape[-1]) * error).astype(w.dtype)
    return layer.product_backward(dy, x, w, need_dx=False)[1].astype(np.float64)


def _rounding(v: Array) -> tuple[Array, Array]:
    """h(v) in [0, 1] and its slope."""
    sigmoid = 1 / (1 + np.exp(-v))
    h = (HIGHEST - LOWEST) * sigmoid + LOWEST
    slope = np.where((h > 0) & (h < 1), (HIGHEST - LOWEST) * sigmoid * (1 - sigmoid), 0.0)
    return np.clip(h, 0, 1), slope


def _penalty_slope(h: Array, done: float) -> Array:
    """∂/∂h of Σ 1 − |2h − 1|^β; β falls as a cosine once the free steps are over."""
    if done < FREE:
        return np.zeros_like(h)
    fraction = (done - FREE) / (1 - FREE)
    power = LAST_POWER + 0.5 * (FIRST_POWER - LAST_POWER) * (1 + np.cos(np.pi * fraction))
    return np.asarray(-2 * power * np.sign(2 * h - 1) * np.abs(2 * h - 1) ** (power - 1))


def _factor(each: WeightLayer, channels: int) -> Array:
    """What the batch norm after the layer multiplies each channel by in evaluation; 1 without one."""
    if each.norm is None:
        return np.ones(channels)
    variance = each.norm.running_var.astype(np.float64) + each.norm.eps
    return np.asarray(each.norm.weight.value / np.sqrt(variance))


def _weight_name(each: WeightLayer) -> str:
    return f"{each.name}.weight" if each.name else "weight"


def _input(model: Model, each: WeightLayer, images: Array) -> Array:
    """What reaches the layer, after a quantizer of its input."""
    seen: list[Array] = []
    with watched_inputs([each], [seen.append]):
        model.forward(images)
    quantizer = each.layer.input_quantizer
    return seen[0] if quantizer is None else quantizer.forward(seen[0], False)[0]
