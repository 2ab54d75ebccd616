"""A model is a function of one flat vector w: a network, its parameters, and its loss."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.kernels import ahead, memory
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.layer import Layer, Shape
from psgd_ref.nn.parameters import Segment, bind, check_names, dotted, lay_out, named_layers, named_parameters
from psgd_ref.nn.summary import summary

# Changes raw pixels (N, H, W, C) at random, and keeps their labels.
Augment = Callable[[npt.NDArray[np.uint8], np.random.Generator], npt.NDArray[np.uint8]]
# Images that `predict` takes at a time.
_BATCH = 500


class Model:
    """A network with all its trainable parameters in the flat vector `w`, and their gradients in `g`.

    Parameters
    ----------
    net
        The network, a layer that maps images to logits.
    seed
        Of the initial values.
    dtype
        float32 (runs on the kernels) or float64 (runs on their oracles).

    Attributes
    ----------
    w, g
        (n,) arrays; the layers' parameters are views, so writing to w changes the network.
    segments
        Name, shape, role and span of every parameter in w.
    mask
        None, or (n,) booleans, False where a parameter is pruned: w and g stay 0 there.
    pixels
        None, or mean and std per channel of raw pixels, by which `predict` normalises them; `fit` sets it.
    augment
        None, or what was done to the raw pixels of its training images, such as `Shift(1)`; `fit` sets it.
        Batch norms are re-estimated on images that were changed likewise.
    input_shape
        None, or the shape of one image of the batch that the model saw last.

    Raises
    ------
    ValueError
        For another dtype, a negative seed, a net that is not a layer, and a layer or a name that occurs in it
        twice.

    Examples
    --------
    >>> import numpy as np
    >>> from psgd_ref.models import convnet
    >>> model = convnet(widths=(4, 8))
    >>> model(np.zeros((5, 8, 8, 1), np.float32)).shape
    (5, 10)
    >>> model
    Model: 438 parameters, float32, inputs 8×8×1
    layer  kind                        output  parameters
    conv1  Conv2d(1, 4, 3, padding=1)  8×8×4   36
    bn1    BatchNorm(4, relu=True)     8×8×4   8
    pool   MaxPool2d(2)                4×4×4
    conv2  Conv2d(4, 8, 3, padding=1)  4×4×8   288
    bn2    BatchNorm(8, relu=True)     4×4×8   16
    mean   GlobalAvgPool()             8
    fc     Linear(8, 10)               10      90
    """

    mask: npt.NDArray[np.bool_] | None = None
    pixels: tuple[Array, Array] | None = None
    augment: Augment | None = None
    input_shape: Shape | None = None

    def __init__(self, net: Layer, seed: int = 0, dtype: Any = np.float32) -> None:
        if not _is_float_dtype(dtype):
            raise ValueError(f"dtype must be float32 or float64; got {dtype!r}")
        if not isinstance(net, Layer):
            raise ValueError(f"net must be a layer, such as Sequential({{...}}); got {type(net).__name__}")
        check_names(net)
        self.net = net
        self.segments = lay_out(net)
        rng = np.random.default_rng(whole_number("seed", seed, 0))
        values = [parameter.initial(rng, parameter.shape).ravel() for _, parameter in named_parameters(net)]
        for _, layer in named_layers(net):
            layer.seed_from(rng)
        self.bind(np.concatenate([np.zeros(0), *values]).astype(dtype))

    def bind(self, w: Array) -> None:
        """Make a copy of w the flat vector of this model, with a fresh gradient of zeros."""
        self.w, self.g = memory.empty(w.shape, w.dtype), memory.zeros(w.shape, w.dtype)
        self.w[...] = w
        bind(self.net, self.segments, self.w, self.g)

    def lay_out_again(self) -> None:
        """Renew `w`, `g` and `segments` after layers have gained or lost parameters. Modifies the model.

        Parameters that stay (by name) keep their values and their part of the mask, new ones take their
        initial value.
        """
        kept = {segment.name: segment.view(self.w) for segment in self.segments}
        masks = {} if self.mask is None else {part.name: part.view(self.mask) for part in self.segments}
        self.segments = lay_out(self.net)
        rng = np.random.default_rng(0)
        values = [
            kept[name].ravel() if name in kept else parameter.initial(rng, parameter.shape).ravel()
            for name, parameter in named_parameters(self.net)
        ]
        self.bind(np.concatenate([np.zeros(0), *values]).astype(self.w.dtype))
        if self.mask is not None:
            self.mask = np.ones(self.w.size, bool)
            for part in self.segments:
                part.view(self.mask)[...] = masks.get(part.name, True)

    def set_mask(self, mask: npt.NDArray[np.bool_] | None) -> None:
        """Prune the parameters where `mask` is False, for good; modifies the model.

        Optimisers, copies, quantization and checkpoints respect it.

        Parameters
        ----------
        mask
            (n,) booleans in the order of w; None frees all.

        Raises
        ------
        ValueError
            For another shape or dtype.
        """
        if mask is not None:
            check_mask(mask, self.w)
        self.mask = None if mask is None else mask.copy()
        self.apply_mask()

    def apply_mask(self) -> None:
        """Set w and g to 0 where a parameter is pruned. Modifies the model."""
        if self.mask is not None:
            # Assigned and not multiplied, so that neither −0 nor NaN is left.
            pruned = ~self.mask
            self.w[pruned] = 0
            self.g[pruned] = 0

    def copy(self) -> "Model":
        """An independent model of the same structure, parameters and statistics."""
        return copy.deepcopy(self)  # a shallow copy first would bind this network to the copy's gradient

    def __getstate__(self) -> dict[str, Any]:
        kept = ("net", "segments", "w", "mask", "pixels", "augment")
        return {**{name: getattr(self, name) for name in kept}, "seen": self.input_shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.net, self.segments, self.mask = state["net"], state["segments"], state["mask"]
        self.pixels, self.augment, self.input_shape = state["pixels"], state["augment"], state["seen"]
        self.bind(state["w"])

    @property
    def buffers(self) -> dict[str, Array]:
        """Running statistics by dotted name; writing into these arrays changes the network."""
        found = {}
        for prefix, layer in named_layers(self.net):
            for name, buffer in layer.buffers().items():
                found[dotted(prefix, name)] = buffer
        return found

    def segment(self, name: str) -> Segment:
        """The segment of that name.

        Raises
        ------
        ValueError
            When there is none; the message lists the names.
        """
        for segment in self.segments:
            if segment.name == name:
                return segment
        known = ", ".join(segment.name for segment in self.segments)
        raise ValueError(f"no parameter {name!r}; the model has {known}")

    @property
    def weight_bits(self) -> dict[str, int]:
        """Bit-widths of the parameters that lie on a grid, by name: none here."""
        return {}

    def __repr__(self) -> str:
        seen = "" if self.input_shape is None else f", inputs {'×'.join(map(str, self.input_shape))}"
        head = f"{type(self).__name__}: {self.w.size:,} parameters, {self.w.dtype}{seen}"
        return f"{head}\n{summary(self.net, self.input_shape, self.weight_bits)}"

    def __call__(self, x: Array) -> Array:
        """Logits in evaluation mode: `forward(x)`."""
        return self.forward(x)

    def predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The class with the largest logit for each image, in evaluation mode.

        The dtype says what the images are: whole numbers are raw pixels, which are normalised by `pixels`,
        as the training images were; floats are normalised already, and taken as they are.

        Parameters
        ----------
        images
            (N, H, W, C), or rows (N, I) for a perceptron.

        Returns
        -------
        (N,) whole numbers in 0 … K − 1.

        Raises
        ------
        ValueError
            For raw pixels when the model knows no mean and std: `fit` sets them; so does
            `model.pixels = data.mean, data.std`.
        """
        raw = isinstance(images, np.ndarray) and images.dtype.kind in "iu"
        if raw and self.pixels is None:
            raise ValueError(
                "images of whole numbers are raw pixels, and this model knows no mean and std to normalise "
                "them: give data.normalise(images), or set model.pixels = data.mean, data.std"
            )
        classes = []
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            if raw and self.pixels is not None:
                batch = (batch.astype(np.float32) - self.pixels[0]) / self.pixels[1]
            classes.append(self.forward(batch).argmax(axis=1))
        return np.concatenate(classes) if classes else np.zeros(0, np.intp)

    def forward(self, x: Array, training: bool = False) -> Array:
        """Logits (N, K) of images.

        Parameters
        ----------
        x
            (N, H, W, C), or rows (N, I) for a perceptron.
        training
            Whether batch norms use the batch's statistics and move their running ones.
        """
        return self._run(x, training)[0]

    def loss_and_grad(self, x: Array, labels: Any, label_smoothing: float = 0.0) -> float:
        """Mean cross-entropy of a batch in training mode; fills `g` with its gradient.

        Parameters
        ----------
        x
            As in `forward`.
        labels
            (N,) whole numbers in 0 … K − 1.
        label_smoothing
            In [0, 1).
        """
        ahead.expect_backward()
        logits, cache = self._run(x, True)
        loss, dlogits = cross_entropy(logits, labels, label_smoothing)
        self.net.backward(dlogits, cache, need_dx=False)
        self.apply_mask()
        return loss

    def _run(self, x: Array, training: bool) -> tuple[Array, Any]:
        found = self.net.forward(images := self._images(x), training)
        self.input_shape = images.shape[1:]  # known to fit only now
        return found

    def _images(self, x: Array) -> Array:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            given = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            raise ValueError(f"images must be a floating-point array, from data.normalise; got {given}")
        if x.ndim < 2:
            raise ValueError(f"images must have the axes NHWC, or NI of rows; got shape {x.shape}")
        if x.shape[0] == 0:
            raise ValueError("images must not be empty; got a batch of 0")
        return np.ascontiguousarray(x, self.w.dtype)


def _is_float_dtype(dtype: Any) -> bool:
    try:
        # NumPy reads None as float64.
        return dtype is not None and np.dtype(dtype) in (np.dtype(np.float32), np.dtype(np.float64))
    except (TypeError, ValueError):
        return False


def check_model(value: Any) -> None:
    """Raise ValueError unless `value` is a model."""
    if not isinstance(value, Model):
        raise ValueError(f"model must be a psgd_ref.nn.Model, such as resnet(20); got {type(value).__name__}")


def check_mask(mask: npt.NDArray[Any], w: Array) -> None:
    """Raise ValueError unless the mask is booleans in the shape of w."""
    if not isinstance(mask, np.ndarray):
        raise ValueError(f"mask must be an array of booleans of shape {w.shape}; got {type(mask).__name__}")
    if mask.dtype != np.bool_ or mask.shape != w.shape:
        raise ValueError(f"mask must be booleans of shape {w.shape}; got {mask.dtype} of shape {mask.shape}")
