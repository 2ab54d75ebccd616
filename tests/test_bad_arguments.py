"""Nonsense in place of what is asked for is refused in our words, never in NumPy's or Python's."""

import inspect

import numpy as np
import pytest

import psgd_ref.analysis
import psgd_ref.compress
import psgd_ref.interop
import psgd_ref.nn
import psgd_ref.training
from psgd_ref import training
from psgd_ref.compress import DSQ, EWGS, LSQ, BayesianBits, LSQPlus, MinMaxGrid, MSEGrid, quantize
from psgd_ref.core import UniformGrid, Warp, Zero, curvature, position_scale, reparametrisation
from psgd_ref.core.clustering import stationary_cdf, stationary_density
from psgd_ref.data import load_digits
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.nn import BatchNorm, Conv2d, Linear, Model
from psgd_ref.nn import functional as F  # noqa: N812
from psgd_ref.training import PSGD, SGD, Adam, PSGDAdam, cosine, evaluate, fit, piecewise
from psgd_ref.training.optimizers.links.refit import refit_rule
from tests.own_words import refused

ARRAYS = [np.array(1), np.zeros(0), np.zeros((2, 2))]
NONSENSE = [None, 3, -1.5, "no", b"", [], {}, object(), object, len, *ARRAYS]
PACKAGES = (psgd_ref.analysis, psgd_ref.compress, psgd_ref.interop, psgd_ref.nn, psgd_ref.training)
OF_A_MODEL = {
    function
    for package in PACKAGES
    for name in getattr(package, "__all__", ())
    if inspect.isfunction(function := getattr(package, name))
    and "model" in inspect.signature(function).parameters
}


@pytest.mark.parametrize("function", sorted(OF_A_MODEL, key=lambda f: f.__qualname__))
def test_nonsense_in_place_of_a_model(function):
    names = list(inspect.signature(function).parameters)
    for nonsense in NONSENSE:
        with pytest.raises(ValueError, match=r"model must be a psgd_ref\.nn\.Model"):
            function(**(dict.fromkeys(names) | {"model": nonsense}))


GRID = UniformGrid(0.1, 7)
W = np.linspace(-1, 1, 5)
# Calls of one argument each, for which every nonsense is refused but what is named beside them.
CALLS = {
    "targets of a warp": (Warp, ()),
    "targets of a scale": (lambda v: position_scale(W, v), ()),
    "weights of a scale": (lambda v: position_scale(v, GRID), (3, -1.5, [], *ARRAYS)),
    "eps": (lambda v: Warp(GRID, v), (3,)),
    "strength": (lambda v: Warp(GRID, strength=v), (3,)),
    "cap": (lambda v: Warp(GRID, cap=v), ()),
    "cap of a scale": (lambda v: position_scale(W, GRID, cap=v), ()),
    "step of a grid": (UniformGrid, (3,)),
    "levels": (lambda v: UniformGrid(0.1, v), (None, 3)),
    "bits": (MinMaxGrid, (3,)),
    "per_channel": (lambda v: MinMaxGrid(4, v), ()),
    "grid of PSGD": (lambda v: PSGD(0.1, grid=v), (None, 3, {})),
    "grid of PSGDAdam": (lambda v: PSGDAdam(0.1, grid=v), (3, {})),
    "rate": (SGD, (3, object, len)),
    "rate of Adam": (Adam, (3, object, len)),
    "momentum": (lambda v: SGD(0.1, momentum=v), ()),
    "weight decay": (lambda v: SGD(0.1, weight_decay=v), (3, object, len)),
    "milestones": (lambda v: piecewise(0.1, v), ([], np.zeros(0))),
    "steps": (lambda v: cosine(0.1, v), (3,)),
    "step of LSQ": (lambda v: LSQ(4, v), (3,)),
    "bits of LSQ": (lambda v: LSQ(v, 0.1), (3,)),
    "sign of LSQ": (lambda v: LSQ(4, 0.1, v), ()),
    "offset of LSQ+": (lambda v: LSQPlus(4, 0.1, offset=v), (None, 3, -1.5)),
    "lower end of EWGS": (lambda v: EWGS(4, v, 5.0), (3, -1.5)),
    "upper end of EWGS": (lambda v: EWGS(4, -5.0, v), (3, -1.5)),
    "strength of EWGS": (lambda v: EWGS(4, -1, 1, delta=v), (3,)),
    "lower end of DSQ": (lambda v: DSQ(4, v, 5.0), (3, -1.5)),
    "softness of DSQ": (lambda v: DSQ(4, -1.0, 1.0, alpha=v), ()),
    "reach of Bayesian Bits": (lambda v: BayesianBits(4, v), (3,)),
    "bits of Bayesian Bits": (lambda v: BayesianBits(v, 1.0), ()),
    "widths of a perceptron": (mlp, ()),
    "widths of a convnet": (lambda v: convnet(widths=v), ()),
    "depth of a ResNet": (resnet, ()),
    "depth of a VGG": (vgg, ()),
    "seed": (lambda v: mlp((2, 2), v), (3,)),
    "dtype": (lambda v: mlp((2, 2), dtype=v), ()),
    "net": (Model, ()),
    "mask": (lambda v: mlp((2, 2)).set_mask(v), (None,)),
    "images of a model": (lambda v: mlp((2, 2)).forward(v), (np.zeros((2, 2)),)),
    "inputs of a layer": (lambda v: Linear(v, 2), (3,)),
    "features": (BatchNorm, (3,)),
    "size of a window": (lambda v: Conv2d(1, 1, v), (3,)),
    "stride": (lambda v: F.conv2d(np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), stride=v), (3,)),
    "padding": (lambda v: F.max_pool2d(np.ones((1, 4, 4, 1)), 4, padding=v), (3,)),
    "data": (lambda v: fit(mlp((64, 10)), SGD(0.1), v, epochs=1), ()),
    "optimizer": (lambda v: fit(mlp((64, 10)), v, load_digits(), epochs=1), ()),
    "epochs": (lambda v: fit(mlp((64, 10)), SGD(0.1), load_digits(), epochs=v, batch_size=500), (3,)),
    "bits of a model": (lambda v: quantize(mlp((2, 2)), v), (3,)),
    "alpha": (lambda v: reparametrisation.powerpropagation_scale(W, v), (3,)),
    "a matrix": (curvature.largest_stable_step, (np.zeros((2, 2)),)),
    "half a cell": (lambda v: stationary_density(W, v, 0.1), (3,)),
    "labels": (lambda v: training.accuracy(mlp((2, 2)), np.ones((3, 2)), v), ()),
}


@pytest.mark.parametrize("name", CALLS)
def test_nonsense_in_place_of(name):
    call, accepted = CALLS[name]
    for nonsense in NONSENSE:
        result = refused(call, nonsense)
        if not any(type(each) is type(nonsense) and np.array_equal(each, nonsense) for each in accepted):
            assert result is None, nonsense


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: reparametrisation.powerpropagation_scale(W, 1e308),
            "alpha = 1e.308 leaves",
        ),
        (lambda: reparametrisation.powerpropagation_scale(W.astype("f"), 1e30), "range of float32"),
        (lambda: stationary_density(W, 0.1, 1e-320), "eps = 1e-320 leaves the range of float64"),
        (lambda: stationary_density(W.astype("f"), 0.1, 1e-40), "range of float32"),
        (
            lambda: refit_rule(2**70),
            "refresh must be a whole number .* below",
        ),
        (lambda: SGD(10**400), "lr must be a finite number >= 0; got 1000"),
        (lambda: curvature.largest_stable_step(np.ones((2, 3))), r"square, \(n, n\)"),
        (lambda: mlp(None), "widths must be a list of whole numbers"),
        (lambda: mlp((64, 10)).set_mask([True] * 650), "mask must be an array of booleans"),
        (lambda: Warp(Zero(), cap=True), "cap needs at least two targets"),
        (lambda: fitted(augment="crop"), "augment must change images, such as .*; got 'crop'"),
        (lambda: fitted(objective="mse"), "objective must be one, such as .*; got 'mse'"),
        (lambda: fit(mlp((64, 10)), SGD, load_digits(), epochs=1), "got the class SGD"),
        (lambda: evaluate(mlp((64, 10)), load_digits(), 4), "bits must be a list .*; got 4"),
        (lambda: evaluate(mlp((64, 10)), load_digits(), scope="x"), "scope must be one of"),
        (lambda: evaluate(mlp((64, 10)), load_digits(), ranges="x"), "ranges must be one of"),
        (lambda: evaluate(mlp((64, 10)), load_digits(), grid=3), "grid must be a rule such as MSEGrid"),
        (lambda: quantize(mlp((2, 2)), 4, MSEGrid(4)), r"grid must be a rule .*; got MSEGrid\(bits=4"),
        (lambda: load_digits().normalise(np.zeros((8, 8, 1))), r"axes NHWC; got shape \(8, 8, 1\)"),
        (
            lambda: mlp((64, 10))(np.zeros((1, 64), np.uint8)),
            "floating-point array, from data.normalise; got dtype uint8",
        ),
    ],
)
def test_what_was_found_once(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def fitted(**options):
    return fit(mlp((64, 10)), SGD(0.1), load_digits(), epochs=1, batch_size=500, **options)


def test_what_is_refused_leaves_the_model_as_it_was():
    model = convnet(widths=(4,))
    for options in ({"augment": "crop"}, {"objective": 3}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="must"):
            fit(model, SGD(0.1), load_digits(), epochs=1, **options)
    with pytest.raises(ValueError, match="channels"):
        model.predict(np.zeros((2, 8, 8, 3)))
    assert (model.pixels, model.augment, model.input_shape) == (None, None, None)


@pytest.mark.parametrize("discretisation", ["psgd", "warp", "mirror"])
def test_stationary_laws_keep_the_dtype(discretisation):
    x = np.linspace(-0.1, 0.1, 7)
    for law in (stationary_density, stationary_cdf):
        wide, single = (law(x.astype(dtype), 0.1, 1e-3, discretisation) for dtype in (np.float64, np.float32))
        assert (wide.dtype, single.dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(single, wide, rtol=1e-4, atol=1e-7)
