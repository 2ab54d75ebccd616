"""A classifier for scikit-learn: trained by PSGD, so that its weights can be rounded afterwards."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from psgd_ref.compress import GRIDS, named_grid, quantize
from psgd_ref.core.arguments import Array, whole_numbers
from psgd_ref.models import convnet, mlp
from psgd_ref.nn import Model
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.training import PSGD, Optimizer
from psgd_ref.training.optimizers.psgd import DECAY_TARGETS

LARGEST_BATCH = 200


class PSGDClassifier(ClassifierMixin, BaseEstimator):
    """A network trained by position-based scaled gradient descent, as a scikit-learn classifier.

    Rows of float64 are computed in float64 by NumPy, rows of float32 (and all images) in float32 by the
    kernels. Scale the features first, as for any network.

    Parameters
    ----------
    bits
        Width of the grid that weights are drawn to, 2 … 16.
    network
        "mlp", or "convnet" for rows that are images.
    hidden_layer_sizes
        Of the perceptron; of a convnet its channels.
    image_shape
        (H, W) or (H, W, C) of a row's image, for "convnet".
    grid
        Rule for the targets: "min-max", "mse", "aciq" or "adaptivfloat".
    decay_target
        What weight decay pulls to: "zero" or "grid", the nearest target.
    weight_decay, eps, learning_rate_init, momentum
        Of `PSGD`.
    max_iter, batch_size
        Epochs at most; rows a step, "auto" for min(200, rows).
    tol, n_iter_no_change
        Training ends when the loss (with `early_stopping` the held-out accuracy) has not improved by `tol`
        for so many epochs.
    early_stopping, validation_fraction
        Hold out that fraction of the rows and end by their accuracy; the best weights are kept.
    warm_start
        Go on from the weights of the last fit.
    random_state
        Of first weights, order of rows, and held-out rows.

    Attributes
    ----------
    classes_
        Labels, in the order of `predict_proba`'s columns.
    model_
        The network, a `psgd_ref.nn.Model`; after `quantize` a `QuantizedModel`.
    n_iter_, loss_curve_
        Epochs of the last fit, and the mean loss of each.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> found = make_pipeline(StandardScaler(), PSGDClassifier(bits=3, random_state=0)).fit(X, y)
    >>> bool(found.score(X, y) > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bits": [Interval(Integral, 2, 16, closed="both")],
        "network": [StrOptions({"mlp", "convnet"})],
        "hidden_layer_sizes": ["array-like"],
        "image_shape": ["array-like", None],
        "grid": [StrOptions(set(GRIDS))],
        "decay_target": [StrOptions(set(DECAY_TARGETS))],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "eps": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    classes_: npt.NDArray[Any]
    model_: Model
    n_features_in_: int

    def __init__(
        self,
        bits: int = 4,
        *,
        network: str = "mlp",
        hidden_layer_sizes: Any = (50, 20),
        image_shape: Any = None,
        grid: str = "min-max",
        decay_target: str = "zero",
        weight_decay: float = 1e-4,
        eps: float = 0.01,
        learning_rate_init: float = 0.1,
        momentum: float = 0.9,
        max_iter: int = 200,
        batch_size: Any = "auto",
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.bits = bits
        self.network = network
        self.hidden_layer_sizes = hidden_layer_sizes
        self.image_shape = image_shape
        self.grid = grid
        self.decay_target = decay_target
        self.weight_decay = weight_decay
        self.eps = eps
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (n, features), labels y (n,), each row counted `sample_weight` times (n,)."""
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), multi_output=False)
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"a classifier needs at least two classes; y has one class, {classes[0]!r}")
        rng = check_random_state(self.random_state)
        going_on = self.warm_start and hasattr(self, "model_")
        if going_on and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start needs the classes of the last fit, {self.classes_}; got {classes}")
        if going_on and type(self.model_) is not Model:
            raise ValueError("a quantized model is not trained further; fit the one it was made from")
        self.classes_ = classes
        self._image_shape()
        if not going_on:
            self.model_ = self._new_model(X, rng.randint(2**31 - 1))
        x, held = self._inputs(X), None
        if self.early_stopping:
            parts = train_test_split(
                np.arange(len(x)), test_size=self.validation_fraction, random_state=rng, stratify=labels
            )
            kept, aside = (np.asarray(part) for part in parts)
            held = x[aside], labels[aside], weights[aside]
            x, labels, weights = x[kept], labels[kept], weights[kept]
        self._train(x, labels, weights, held, rng)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities (n, classes) of rows X, the softmax of the logits."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return _softmax(self.model_.forward(self._inputs(X)).astype(np.float64))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest class of each row."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def quantize(self, bits: int | None = None) -> "PSGDClassifier":
        """A fitted copy whose weights are integers times a scale; the integers are in `model_.quantized`.

        Parameters
        ----------
        bits
            Of the integers, by default the estimator's `bits`.

        Source
        ------
        `psgd_ref.compress.quantize`.
        """
        check_is_fitted(self)
        copied = type(self)(**self.get_params())
        copied.__dict__.update(self.__dict__)
        copied.model_ = quantize(self.model_, self.bits if bits is None else bits, named_grid(self.grid))
        return copied

    def _image_shape(self) -> tuple[int, ...] | None:
        if self.network == "mlp":
            return None
        shape = () if self.image_shape is None else tuple(int(side) for side in self.image_shape)
        full = (*shape, 1)[:3] if len(shape) == 2 else shape
        if len(full) != 3 or int(np.prod(full)) != self.n_features_in_:
            raise ValueError(
                f"image_shape must be (H, W) or (H, W, C) of {self.n_features_in_} numbers; "
                f"got {self.image_shape!r}"
            )
        return full

    def _new_model(self, X: Array, seed: int) -> Model:
        sizes = whole_numbers("hidden_layer_sizes", np.ravel(self.hidden_layer_sizes).tolist(), 1)
        shape = self._image_shape()
        if shape is None:
            return mlp((self.n_features_in_, *sizes, len(self.classes_)), seed, X.dtype)
        return convnet(shape[2], sizes, len(self.classes_), seed)

    def _inputs(self, X: Array) -> Array:
        shape = self._image_shape()
        rows = X if shape is None else X.reshape(-1, *shape)
        return np.ascontiguousarray(rows, self.model_.w.dtype)

    def _train(
        self,
        x: Array,
        labels: npt.NDArray[np.intp],
        weights: Array,
        held: tuple[Array, npt.NDArray[np.intp], Array] | None,
        rng: np.random.RandomState,
    ) -> None:
        model, optimizer = self.model_, self._optimizer()
        state = optimizer.init(model)
        size = min(LARGEST_BATCH if self.batch_size == "auto" else self.batch_size, len(x))
        best, best_w, idle = np.inf, model.w.copy(), 0
        self.loss_curve_: list[float] = []
        for _ in range(self.max_iter):
            order, total = rng.permutation(len(x)), 0.0
            # A step that is too long is told below, in words.
            with np.errstate(over="ignore", invalid="ignore"):
                for start in range(0, len(x), size):
                    rows = order[start : start + size]
                    total += _weighted_loss(model, x[rows], labels[rows], weights[rows])
                    optimizer.update(model, state)
            self.loss_curve_.append(total / max(weights.sum(), np.finfo(float).tiny))
            if not np.isfinite(model.w).all() or not np.isfinite(total):
                raise ValueError(
                    f"training diverged in epoch {len(self.loss_curve_)}; lower learning_rate_init, "
                    f"{self.learning_rate_init}, or scale the features"
                )
            reached = self.loss_curve_[-1] if held is None else -_accuracy(model, *held)
            idle = 0 if reached < best - self.tol else idle + 1
            if reached < best:
                best, best_w = reached, model.w.copy()
            if idle >= self.n_iter_no_change:
                break
        if held is not None:
            model.w[...] = best_w
        self.n_iter_ = len(self.loss_curve_)

    def _optimizer(self) -> Optimizer:
        return PSGD(
            self.learning_rate_init,
            self.momentum,
            self.weight_decay,
            named_grid(self.grid)(self.bits),
            eps=self.eps,
            cap=self.grid != "min-max",
            decay_target=self.decay_target,
        )


def _weighted_loss(model: Model, x: Array, labels: npt.NDArray[np.intp], weights: Array) -> float:
    """Σ w_i ℓ_i of a batch; fills model.g with the gradient of their weighted mean."""
    logits, cache = model.net.forward(x, True)
    _, dlogits = cross_entropy(logits, labels)
    total = float(weights.sum())
    factors = weights * (len(x) / total) if total > 0 else np.zeros_like(weights)
    model.net.backward(np.asarray(dlogits * factors[:, None], dlogits.dtype), cache, need_dx=False)
    picked = _softmax(logits.astype(np.float64))[np.arange(len(x)), labels]
    return float((weights * -np.log(np.maximum(picked, np.finfo(float).tiny))).sum())


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _accuracy(model: Model, x: Array, labels: npt.NDArray[np.intp], weights: Array) -> float:
    right = model.forward(x).argmax(axis=1) == labels
    return float(np.average(right, weights=weights)) if weights.sum() > 0 else 0.0
