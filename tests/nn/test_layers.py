"""Layers against formulas for one number at a time, their gradients against differences, their words."""

import math
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.kernels import BACKEND
from psgd_ref.models import resnet
from psgd_ref.nn import (
    GELU,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    LeakyReLU,
    Linear,
    Model,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from psgd_ref.nn.parameters import named_parameters
from tests.kernels.processes import run_python
from tests.nn.vjp import assert_vjp

PROFILE = settings(deadline=None, derandomize=True, max_examples=15)
# Each with its formula for one number.
FORMULAS = {
    "GELU": (GELU(), lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
    "GELU tanh": (
        GELU("tanh"),
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "LeakyReLU": (LeakyReLU(-0.3), lambda x: x if x > 0 else -0.3 * x),
    "ReLU6": (ReLU6(), lambda x: min(max(x, 0), 6)),
    "SiLU": (SiLU(), lambda x: x / (1 + math.exp(-x))),
    "Sigmoid": (Sigmoid(), lambda x: 1 / (1 + math.exp(-x))),
    "Tanh": (Tanh(), math.tanh),
}


@pytest.mark.parametrize("name", FORMULAS)
@PROFILE
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.1, 1.0, 8.0]))
def test_an_elementwise_layer_is_its_formula_and_its_derivatives(name, seed, scale):
    layer, formula = FORMULAS[name]
    x = scale * np.random.default_rng(seed).normal(size=(3, 4, 2))
    # Away from the kinks, at which differences are no derivatives.
    x += np.where((np.abs(x) < 1e-4) | (np.abs(x - 6) < 1e-4), 1e-3, 0)
    y, cache = layer.forward(x, True)
    np.testing.assert_allclose(y, np.vectorize(formula, otypes=[float])(x), rtol=1e-12, atol=1e-15)
    assert_vjp(lambda x: layer.forward(x, False)[0], lambda dy: (layer.backward(dy, list(cache)),), (x,))
    h = 1e-5
    bend = (layer.slope(x + h) - layer.slope(x - h)) / (2 * h)
    np.testing.assert_allclose(layer.bend(x), bend, rtol=1e-6, atol=1e-8)
    single = layer.forward(x.astype(np.float32), False)[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, y, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementwise_layers_stay_finite_and_pass_nan(name, dtype):
    layer, _ = FORMULAS[name]
    large = np.array([0, -0.0, 1e-30, 50, -50, 1e3, -1e3, 1e12, -1e12, 1e30, -1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        y, cache = layer.forward(large, True)
        for values in (y, layer.slope(large), layer.bend(large), layer.backward(np.ones_like(y), cache)):
            assert np.isfinite(values).all()
            assert values.dtype == dtype
    assert np.isnan(layer.forward(np.full(1, np.nan, dtype), False)[0]).all()


def wired(layer, dtype=np.float64):
    """The layer as part of a model, with parameters away from their first values."""
    model = Model(layer, 0, dtype)
    model.w += np.random.default_rng(1).normal(size=model.w.shape)
    return model


def assert_layer_vjp(model, x):
    """The gradients of input and parameters by projections."""
    inputs = [x, *(segment.view(model.w).copy() for segment in model.segments)]

    def forward(x, *values):
        for (_, parameter), value in zip(named_parameters(model.net), values, strict=True):
            parameter.value[...] = value
        return model.net.forward(x, False)[0]

    y, cache = model.net.forward(x, True)

    def backward(dy):
        dx = model.net.backward(dy.astype(y.dtype), cache)
        return (dx, *(segment.view(model.g) for segment in model.segments))

    assert_vjp(forward, backward, tuple(inputs))
    forward(*inputs)


@PROFILE
@given(
    groups=st.integers(1, 4),
    deep=st.integers(1, 3),
    wide=st.integers(1, 3),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.sampled_from([(1, "same"), (1, 1), (2, 2), ((2, 1), (0, 2))]),
)
def test_convolutions_in_groups_and_of_the_same_size(groups, deep, wide, size, window):
    stride, padding = window
    rng = np.random.default_rng(0)
    layer = Conv2d(groups * deep, groups * wide, size, stride, padding, True, groups)
    model, x = wired(layer), rng.normal(size=(2, 5, 6, groups * deep))
    y = model.forward(x)
    if padding == "same":
        assert y.shape[1:3] == x.shape[1:3]
        low = [(k - 1) // 2 for k in size]
        border = [(low[k], size[k] - 1 - low[k]) for k in (0, 1)]
    else:
        border = [(p, p) for p in layer.padding]
    assert y.shape[1:] == layer.output_shape(x.shape[1:])
    padded = np.pad(x, ((0, 0), *border, (0, 0)))
    # Each output one by one, from the inputs of its group.
    for n, h, v, o in list(np.ndindex(y.shape))[:: max(1, y.size // 50)]:
        top, left = h * layer.stride[0], v * layer.stride[1]
        first = o // wide * deep
        seen = padded[n, top : top + size[0], left : left + size[1], first : first + deep]
        expected = layer.bias.value[o] + (seen * layer.weight.value[..., o]).sum()
        assert np.isclose(y[n, h, v, o], expected)
    assert_layer_vjp(model, x)
    dense = Conv2d(groups * deep, groups * wide, size, stride, padding)
    bias = layer.bias.value
    np.testing.assert_allclose(dense.product(x, layer.by_input(layer.weight.value), bias), y, atol=1e-12)
    numbers = rng.normal(size=groups * deep)
    scaled = layer.by_input(layer.weight.value * layer.on_inputs(numbers))
    np.testing.assert_allclose(scaled, layer.by_input(layer.weight.value) * numbers[:, None], atol=1e-12)


@pytest.mark.parametrize(("shape", "image"), [(3, (4, 5, 3)), ((4, 5, 3), (4, 5, 3)), (7, (7,))])
def test_layer_norm_has_mean_beta_and_variance_gamma_squared(shape, image):
    layer = LayerNorm(shape)
    model, x = wired(layer), 3 + 2 * np.random.default_rng(0).normal(size=(2, *image))
    y = model.forward(x)
    axes = tuple(range(-len(layer.shape), 0))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, layer.weight.value * expected + layer.bias.value, atol=1e-12)
    assert_layer_vjp(model, x)
    single = wired(LayerNorm(shape), np.float32)
    single.w[...] = model.w
    np.testing.assert_allclose(single.forward(x.astype(np.float32)), y, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="x must have the axes"):
        model.net.forward(x[..., :-1], False)


def test_dropout_keeps_the_mean_and_drops_the_share():
    layer, x = Dropout(0.3, seed=1), np.ones((100, 20, 20), np.float32)
    y, cache = layer.forward(x, True)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    # Of 40,000 draws the standard deviation is 0.0023.
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_array_equal(layer.backward(x, cache), y)
    assert layer.forward(x, False)[0] is x
    again = layer.forward(x, True)[0]
    assert not np.array_equal(again, y)
    other = Dropout(0.3, seed=1)
    np.testing.assert_array_equal(other.forward(x, True)[0], y)
    np.testing.assert_array_equal(other.forward(x, True)[0], again)
    assert not np.array_equal(Dropout(0.3, seed=2).forward(x, True)[0], y)
    assert np.array_equal(Dropout(0.0).forward(x, True)[0], x)


def test_the_model_gives_every_dropout_a_seed_of_its_own():
    def seeds(seed):
        net = Sequential([Linear(4, 4), Dropout(), Dropout(), Dropout(0.5, seed=7)])
        model = Model(net, seed)
        return [layer.seed for layer in net.layers.values() if isinstance(layer, Dropout)], model.w

    (first, w), (again, _) = seeds(0), seeds(0)
    assert first == again
    assert len(set(first)) == 3
    assert first[2] == 7
    assert seeds(1)[0][0] != first[0]
    # The weights are those of a model without.
    assert np.array_equal(w, Model(Sequential([Linear(4, 4)]), 0).w)


THREADS = """
import hashlib
import numpy as np
from psgd_ref.training import SGD
from tests.nn.networks import modern
rng = np.random.default_rng(0)
# Enough work for kernels to use several threads.
x, labels = rng.standard_normal((64, 8, 7, 2)).astype(np.float32), rng.integers(0, 4, 64)
model, optimizer = modern(np.float32), SGD(0.1)
state = optimizer.init(model)
for _ in range(3):
    model.loss_and_grad(x, labels)
    optimizer.update(model, state)
print(hashlib.sha256(model.w.tobytes() + model.forward(x).tobytes()).hexdigest())
"""


@pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")
def test_any_number_of_threads_gives_the_same_bits():
    one, two = (run_python(THREADS, NUMBA_NUM_THREADS=threads).stdout for threads in (1, 2))
    assert one == two
    assert len(one) == 65


def test_a_list_of_layers_has_the_names_of_pytorch():
    net = Sequential([Conv2d(1, 2, 3), Sequential([BatchNorm(2), ReLU()]), Flatten(), Linear(8, 2)])
    assert [segment.name for segment in Model(net).segments] == [
        "0.weight", "1.0.weight", "1.0.bias", "3.weight", "3.bias",
    ]  # fmt: skip
    assert repr(Sequential((Tanh(), Dropout(0.25), LayerNorm((2, 3, 4)), GELU("tanh")))) == (
        "Sequential(0=Tanh(), 1=Dropout(0.25), 2=LayerNorm((2, 3, 4)), 3=GELU('tanh'))"
    )


def test_a_norm_that_the_next_layer_reads_through_changes_no_bit(monkeypatch):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((4, 16, 16, 3)).astype(np.float32), np.arange(4)

    def run():
        block = Residual(
            {
                "a": Conv2d(16, 16, 3, padding=1),
                "b": BatchNorm(16, relu=True),
                "c": Conv2d(16, 16, 3, padding=1),
            },
            ("d", BatchNorm(16, relu=True)),
            None,
        )
        layers = [Conv2d(3, 16, 3, padding=1), BatchNorm(16, relu=True), Conv2d(16, 16, 3, padding=1)]
        model = Model(Sequential([*layers, block, GlobalAvgPool(), Linear(16, 4)]), seed=1)
        loss = model.loss_and_grad(x, labels)
        return [np.float64(loss), model.g.copy(), *model.buffers.values(), model(x)]

    read = []
    reads = Conv2d.reads
    monkeypatch.setattr(Conv2d, "reads", lambda layer, x: read.append(reads(layer, x)) or read[-1])
    through = run()
    # Both norms before a convolution: forward in training and in evaluation, and backward.
    assert sum(read) == (6 if BACKEND == "tile" else 0)
    monkeypatch.setattr(Conv2d, "reads", lambda layer, x: False)
    for one, other in zip(through, run(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("x", [[[1.0]], np.ones((2, 16), np.float32), np.ones((2, 4, 4, 16), int)])
def test_a_norm_before_a_convolution_refuses_what_is_no_batch_of_images(x):
    net = Model(Sequential([BatchNorm(16, relu=True), Conv2d(16, 16, 3, padding=1)])).net
    with pytest.raises(ValueError, match="x must"):
        net.forward(x, training=False)


def shared():
    layer = Linear(2, 2)
    return Sequential([layer, ReLU(), layer])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Conv2d(4, 6, 3, groups=3), "groups must divide inputs and outputs, 4 and 6; got 3"),
        (lambda: Conv2d(4, 6, 3, groups=0), "groups must be a whole number >= 1; got 0"),
        (lambda: Conv2d(4, 6, 3, padding="valid"), "padding must be .* or \"same\"; got 'valid'"),
        (lambda: Conv2d(4, 6, 3, 2, padding="same"), 'padding="same" needs stride 1; got stride 2'),
        (lambda: Linear(2, 2, bias="no"), "bias must be True or False"),
        (lambda: Dropout(1), r"p must lie in \[0, 1\); got 1"),
        (lambda: Dropout("much"), "p must be a finite number"),
        (lambda: Dropout(0.5, seed=-1), "seed must be a whole number"),
        (lambda: LayerNorm((2, 3)), r"shape must be a whole number C, or \(H, W, C\); got \(2, 3\)"),
        (lambda: LayerNorm(0), "shape must be a whole number >= 1; got 0"),
        (lambda: GELU("erf"), "approximate must be one of none, tanh; got 'erf'"),
        (lambda: LeakyReLU(math.nan), "negative_slope must be a finite number"),
        (lambda: Sequential([ReLU]), "layer 0 must be a layer, such as .*; got the class ReLU"),
        (lambda: Sequential({"a": 3}), "layer a must be a layer, such as .*; got int"),
        (lambda: Sequential("layers"), "layers must be layers by name, or a list of them; got str"),
        (lambda: Sequential({3: ReLU()}), "names of layers must be words; got 3"),
        (lambda: Model(shared()), "0 and 2 are the same Linear; every layer has weights of its own"),
        (
            lambda: Model(Sequential({"a.b": Linear(2, 2), "a": Sequential({"b": Linear(2, 2)})})),
            "two parameters have the name a.b.weight",
        ),
        (lambda: Residual([ReLU], ("norm", BatchNorm(2)), None), "got the class ReLU"),
    ],
)
def test_bad_arguments_get_one_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_a_block_s_norm_kept_is_gone_before_its_body_needs_memory(monkeypatch):
    kept, alive = [], []

    def backward_sum(self, dy, cache, *rest, method=BatchNorm.backward_sum):
        kept.append(weakref.ref(cache))
        return method(self, dy, cache, *rest)

    def backward(*arguments, kernel=kernels.conv2d_backward):
        alive.append(kept[-1]() is not None)
        return kernel(*arguments)

    monkeypatch.setattr(BatchNorm, "backward_sum", backward_sum)
    monkeypatch.setattr(kernels, "conv2d_backward", backward)
    model = resnet(8)
    model.loss_and_grad(np.ones((2, 32, 32, 3), np.float32), np.zeros(2, int))
    assert len(kept) == 3
    assert alive
    assert not any(alive)
