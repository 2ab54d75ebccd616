"""Every array argument of every function that reaches a kernel is checked: axes, shape and dtype.

`CALLS` holds good arguments of each such function, and a test says when one is missing from it. Each array in
turn is then made wrong in every way there is here. Such a call is refused in our words, or it gives what the
same call in float64 gives: those run on NumPy, which cannot read beyond an array.
"""

import copy
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from psgd_ref import compress, kernels, nn
from psgd_ref.compress import DSQ, EWGS, LSQ, BayesianBits, LSQPlus
from psgd_ref.compress.post_training.activations import NearestTarget, UnsignedRounding
from psgd_ref.compress.pruning.l0 import Gates
from psgd_ref.compress.pruning.powerpropagation import Powerpropagation
from psgd_ref.compress.pruning.spred import Product
from psgd_ref.core import UniformGrid
from psgd_ref.kernels import Part, Parts, checks, reference
from psgd_ref.nn import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Model,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from psgd_ref.nn import functional as F  # noqa: N812
from tests.own_words import refused

RNG = np.random.default_rng(0)


def a(*shape):
    return RNG.uniform(0.1, 1, shape).astype(np.float32)


X, W, V = a(2, 5, 6, 3), a(3, 2, 3, 4), a(3)
GROUPED = a(3, 2, 1, 6)
Y = F.conv2d(X, W, padding=1)
ROWS, MATRIX = a(7, 3), a(3, 4)
CLASSES = ("After", "Norm", "NormGradient", "Part", "Parts")
POOL, WINDOW = a(2, 3, 4, 3), ((2, 2), (2, 2), (1, 1))
WINNER = kernels.max_pool2d(X, *WINDOW)[1]
LABELS = np.arange(7) % 3
PARTS = Parts.of([Part(0, 12, 3, 7, 2.0), Part(12, 21, 1, None)])
GRID = {"step": 0.1, "offset": 0.0, "low": -4, "high": 3}
RANGE = {"lower": -1.0, "upper": 1.0}
EVAL = {"x": X, "gamma": V, "beta": a(3), "mean": a(3), "var": a(3), "eps": 1e-5}
JOINED = {"residual": a(*X.shape), "relu": True}
CONV = {"stride": (1, 1), "padding": (1, 1)}

CALLS = {
    F.avg_pool2d: {"x": X, "size": 2, "padding": 1},
    F.avg_pool2d_backward: {"dy": POOL[:, :3], "x": X, "size": 2, "padding": 1},
    F.batch_norm: EVAL,
    F.batch_norm_backward: {"dy": a(*X.shape), "x": X, "gamma": V},
    F.conv2d: {"x": X, "weight": W, "bias": a(4), "padding": 1, "groups": 1},
    F.conv2d_backward: {"dy": Y, "x": X, "weight": W, "padding": 1, "groups": 1},
    F.cross_entropy: {"logits": ROWS, "labels": LABELS},
    F.global_avg_pool: {"x": X},
    F.linear: {"x": ROWS, "weight": MATRIX, "bias": a(4)},
    F.linear_backward: {"dy": a(7, 4), "x": ROWS, "weight": MATRIX},
    F.max_pool2d: {"x": X, "size": 2, "padding": 1},
    F.max_pool2d_backward: {"dy": POOL[:, :3], "x": X, "size": 2, "padding": 1},
    F.relu: {"x": X},
    kernels.avg_pool2d: {"x": X, **dict(zip(("size", "stride", "padding"), WINDOW, strict=True))},
    kernels.avg_pool2d_backward: {
        "dy": POOL,
        "x_shape": X.shape,
        **dict(zip(("size", "stride", "padding"), WINDOW, strict=True)),
    },
    kernels.batch_norm_backward: {
        "dy": a(*X.shape), "x": X, "y": a(*X.shape), "gamma": V, "mean": a(3), "var": a(3), "eps": 1e-5,
        "relu": True, "into": None, "beta": a(3),
    },
    kernels.batch_norm_gradient: {
        "dy": a(*X.shape), "x": X, "y": a(*X.shape), "gamma": V, "mean": a(3), "var": a(3), "eps": 1e-5,
        "relu": True, "into": None, "beta": a(3),
    },
    kernels.batch_norm_statistics: {
        "x": X, "running_mean": a(3), "running_var": a(3), "momentum": 0.1,
    },
    kernels.batch_norm_eval: EVAL | JOINED,
    kernels.batch_norm_train: {
        "x": X, "gamma": V, "beta": a(3), "running_mean": a(3), "running_var": a(3), "momentum": 0.1,
        "eps": 1e-5, **JOINED,
    },
    kernels.channel_sum: {"dy": Y, "into": a(4)},
    kernels.conv2d: {"x": X, "w": W, "bias": a(4), **CONV},
    kernels.conv2d_backward: {
        "dy": Y, "x": X, "w": W, **CONV, "into": a(*W.shape), "plus": a(*X.shape),
    },
    kernels.cross_entropy: {"logits": ROWS, "labels": LABELS, "label_smoothing": 0.1},
    kernels.fake_quantize: {"x": X, **GRID},
    kernels.fake_quantize_backward: {"dy": a(*X.shape), "x": X, **GRID},
    kernels.global_avg_pool: {"x": X},
    kernels.global_avg_pool_backward: {"dy": a(2, 3), "x_shape": X.shape},
    kernels.grouped_conv2d: {"x": X, "w": GROUPED, "bias": a(6), **CONV, "groups": 3},
    kernels.grouped_conv2d_backward: {
        "dy": a(2, 5, 7, 6), "x": X, "w": GROUPED, **CONV, "groups": 3, "into": a(*GROUPED.shape),
    },
    kernels.linear: {"x": ROWS, "w": MATRIX, "bias": a(4)},
    kernels.linear_backward: {
        "dy": a(7, 4), "x": ROWS, "w": MATRIX, "into": a(3, 4), "bias_into": a(4),
    },
    kernels.max_pool2d: {"x": X, **dict(zip(("size", "stride", "padding"), WINDOW, strict=True))},
    kernels.max_pool2d_backward: {
        "dy": POOL,
        "winner": WINNER,
        "x_shape": X.shape,
        **dict(zip(("size", "stride", "padding"), WINDOW, strict=True)),
    },
    kernels.nested_round: {"x": X, **RANGE, "gates": a(2)},
    kernels.nested_round_backward: {"dy": a(*X.shape), "x": X, **RANGE, "gates": a(2)},
    kernels.psgd_update: {
        "w": a(21), "g": a(21), "v": a(21), "parts": PARTS, "steps": a(4), "lr": 0.1, "momentum": 0.9,
        "weight_decay": 0.1,
    },
    kernels.relu: {"x": X},
    kernels.relu_backward: {"dy": a(*X.shape), "y": X},
    kernels.soft_round_backward: {"dy": a(*X.shape), "x": X, **RANGE, "cells": 7, "alpha": 0.2},
}  # fmt: skip

EACH = [
    pytest.param(call, name, id=f"{call.__module__.rpartition('.')[2]}.{call.__name__}-{name}")
    for call, arguments in CALLS.items()
    for name, value in arguments.items()
    if isinstance(value, np.ndarray)
]


def is_array(parameter):
    return "ndarray" in repr(parameter.annotation) or parameter.name == "labels"


def test_no_function_and_no_array_argument_is_forgotten():
    public = [f for name, f in vars(F).items() if inspect.isfunction(f) and f.__module__ == F.__name__]
    public = [f for f in public if not f.__name__.startswith("_")]
    public += [getattr(kernels, name) for name in kernels.__all__ if name not in CLASSES]
    assert set(public) == set(CALLS)
    for function in public:
        arrays = {p.name for p in inspect.signature(function).parameters.values() if is_array(p)}
        assert arrays <= set(CALLS[function]), function


def test_checks_oracles_and_compiled_kernels_have_the_same_arguments():
    for name in kernels.__all__:
        if name not in CLASSES:
            signatures = [inspect.signature(getattr(module, name)) for module in (checks, reference)]
            if kernels.BACKEND == "tile":
                compiled = inspect.getclosurevars(getattr(kernels, name)).nonlocals["compiled"]
                signatures.append(inspect.signature(compiled))
            first, *others = (list(signature.parameters) for signature in signatures)
            assert all(other == first for other in others), name


def shorter(value, axis):
    return np.ascontiguousarray(value.take(range(value.shape[axis] - 1), axis))


WRONG = {
    "a list": lambda value: value.tolist(),
    "whole numbers": lambda value: value.astype(int),
    "complex": lambda value: value.astype(complex),
    "words": lambda value: value.astype(str),
    "objects": lambda value: value.astype(object),
    "one number": lambda value: value.reshape(-1)[0].copy().reshape(()),
    "a number": lambda value: float(value.flat[0]),
    "nothing": lambda value: value.reshape(-1)[:0],
    "an axis more": lambda value: value[None],
    "an axis less": lambda value: value[0] if value.ndim > 1 else value[0].reshape(()),
    "one line": lambda value: value.reshape(-1),
    "no entries along the first axis": lambda value: value[:0],
    "no entries along the last axis": lambda value: value[..., :0],
    "first axis shorter": lambda value: shorter(value, 0),
    "last axis shorter": lambda value: shorter(value, -1),
    "first axis longer": lambda value: np.concatenate([value, value[:1]]),
    "last axis longer": lambda value: np.concatenate([value, value[..., :1]], axis=-1),
    "one entry": lambda value: value.reshape(-1)[:1],
    "a class": type,
}


def double(value):
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value


def own(arguments):
    """With copies of all arrays, since some are written to."""
    return {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in arguments.items()}


def flat(result):
    return [part for each in result for part in flat(each)] if isinstance(result, tuple) else [result]


@pytest.mark.parametrize(("call", "name"), EACH)
def test_wrong_arrays_are_refused_or_computed_as_in_float64(call, name):
    for make_wrong in WRONG.values():
        arguments = CALLS[call] | {name: make_wrong(CALLS[call][name])}
        result = refused(call, **own(arguments))
        if result is not None:
            expected = call(**own({key: double(value) for key, value in arguments.items()}))
            agree(result, expected)


def agree(result, expected):
    for one, other in zip(flat(result), flat(expected), strict=True):
        assert np.shape(one) == np.shape(other)
        if other is not None:
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("call", CALLS)
def test_good_arrays_are_not_refused(call):
    assert refused(call, **own(CALLS[call])) is not None


@pytest.mark.parametrize("order", ["reversed", "read-only"])
def test_results_are_put_into_whole_writable_arrays_only(order):
    for call, name in (p.values for p in EACH):
        if name in ("into", "bias_into", "running_mean", "running_var", "v", "w") and call not in (
            kernels.conv2d, kernels.linear,
        ) and not (name == "w" and call is not kernels.psgd_update):  # fmt: skip
            value = CALLS[call][name].copy()
            if order == "reversed":
                value = value[::-1]
            else:
                value.flags.writeable = False
            assert refused(call, **own(CALLS[call]) | {name: value}) is None, (call, name)


def test_what_was_found_once():
    with pytest.raises(ValueError, match=r"bias must have the shape \(4,\); got \(3,\)"):
        F.linear(ROWS, MATRIX, V)
    with pytest.raises(ValueError, match=r"gamma must have the shape \(3,\); got \(5,\)"):
        F.batch_norm_backward(X, X, a(5))
    with pytest.raises(ValueError, match=r"gamma must have the shape \(3,\); got \(0,\)"):
        F.batch_norm_backward(X, X, a(0))
    through = kernels.NormGradient(Y, np.ones((5, 4), np.float32), True)
    after = kernels.After(kernels.Norm(*np.ones((4, 4), np.float32), 1e-5), Y, True)
    for wrong, message in (
        (tuple(after), "after must be a kernels.After; got tuple"),
        (after._replace(norm=None), "norm must be a kernels.Norm; got NoneType"),
        (after._replace(norm=after.norm._replace(var=a(3))), r"var must have the shape \(4,\); got \(3,\)"),
        (after._replace(residual=Y[:1]), r"residual must have the shape \(2, 5, 7, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels.conv2d(X, W, None, (1, 1), (1, 1), after=wrong)
    for wrong, message in (
        ((Y, *through[1:]), "through must be a kernels.NormGradient; got tuple"),
        (through._replace(x=Y[:1]), r"x of the norm must have the shape \(2, 5, 7, 4\)"),
        (through._replace(terms=a(5, 3)), r"terms must have the shape \(5, 4\); got \(5, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels.conv2d_backward(Y, X, W, (1, 1), (1, 1), through=wrong)
    for dtype in (np.float32, np.float64):
        assert F.max_pool2d(np.zeros((0, 4, 4, 2), dtype), 2).shape == (0, 2, 2, 2)


LAYERS = {
    "AvgPool2d": (AvgPool2d(2), X),
    "BatchNorm": (BatchNorm(3, relu=True), X),
    "Conv2d": (Conv2d(3, 4, 3, padding=1, bias=True), X),
    "Dropout": (Dropout(0.5), X),
    "Flatten": (Flatten(), X),
    "GELU": (GELU(), X),
    "GlobalAvgPool": (GlobalAvgPool(), X),
    "LayerNorm": (LayerNorm(3), X),
    "LeakyReLU": (LeakyReLU(), X),
    "Linear": (Linear(3, 4), ROWS),
    "MaxPool2d": (MaxPool2d(2), X),
    "ReLU": (ReLU(), X),
    "ReLU6": (ReLU6(), X),
    "Residual": (Residual({"a": Conv2d(3, 3, 3, padding=1)}, ("b", BatchNorm(3)), None), X),
    "Sequential": (Sequential({"a": ReLU(), "b": Conv2d(3, 4, 3)}), X),
    "SiLU": (SiLU(), X),
    "Sigmoid": (Sigmoid(), X),
    "Tanh": (Tanh(), X),
    "BayesianBits": (BayesianBits(4, 1.0, channels=3), X),
    "DSQ": (DSQ(4, -1.0, 1.0), X),
    "EWGS": (EWGS(4, -1.0, 1.0), X),
    "Gates": (Gates((7, 3), 0.5, 0), ROWS),
    "LSQ": (LSQ(4, 0.1), X),
    "LSQPlus": (LSQPlus(4, 0.1, False, True, 0.2), X),
    "NearestTarget": (NearestTarget(UniformGrid(0.1, 7)), X),
    "Powerpropagation": (Powerpropagation(2.0), ROWS),
    "Product": (Product((7, 3)), ROWS),
    "UnsignedRounding": (UnsignedRounding(4, 0.1), X),
}
# What these share; they are no layers by themselves.
BASES = {"Elementwise", "Weighted", "FakeQuantizer", "LearnedRange", "Parametrization"}


def kinds(layer=Layer):
    for kind in layer.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_no_layer_is_forgotten():
    for package in (nn, compress):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    ours = [kind for kind in kinds() if kind.__module__.startswith("psgd_ref.")]
    assert {kind.__name__ for kind in ours if not kind.__name__.startswith("_")} - BASES == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_refuse_wrong_arrays_or_compute_as_in_float64(name):
    layer, good = LAYERS[name]
    for make_wrong in WRONG.values():
        wrong = make_wrong(good)
        # Nets of one layer, so that its parameters have values.
        one, other = (
            Model(Sequential({"layer": copy.deepcopy(layer)}), 0, f"float{n}").net for n in (32, 64)
        )
        result = refused(one.forward, wrong, False)
        if result is not None:
            agree(result[0], other.forward(double(wrong), False)[0])
        refused(one.forward, wrong, True)
        y, cache = one.forward(good, True)
        assert refused(one.backward, make_wrong(y), cache) is None
