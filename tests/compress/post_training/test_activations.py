"""Rounding of activations: its integers, its gradient, its ranges, and its place in a network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psgd_ref.compress import (
    AdaptivFloatGrid,
    calibrated,
    from_batch_norms,
    insert_input_quantizers,
    quantize,
)
from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.post_training.activations import (
    BATCH_SIZE,
    RANGES,
    Inputs,
    NearestTarget,
    UnsignedRounding,
    input_bits,
    observe,
)
from psgd_ref.models import convnet
from psgd_ref.nn import Conv2d, Layer, Model, Parameter, Sequential
from psgd_ref.training import SGD
from tests.compress.networks import trained_like

settings.register_profile("activations", deadline=None, derandomize=True, max_examples=60)
PROFILE = settings.get_profile("activations")


@settings(PROFILE)
@given(
    arrays(np.float64, 20, elements=st.floats(0, 50)),
    st.integers(1, 10),
    st.floats(0.01, 100),
)
def test_codes_times_scale_is_the_output_in_either_precision(x, bits, top):
    single, layer = x.astype(np.float32), UnsignedRounding(bits, top)
    y, _ = layer.forward(single, False)
    assert y.dtype == np.float32
    assert np.array_equal(y, layer.codes(single) * np.float32(layer.scale))
    assert (np.abs(y - single)[single <= top] <= layer.scale / 2 * (1 + 1e-4)).all()


@settings(PROFILE)
@given(
    arrays(np.float64, 20, elements=st.floats(0, 50)),
    st.integers(1, 10),
    st.floats(0.01, 100),
)
def test_codes_times_scale_is_the_output(x, bits, top):
    layer = UnsignedRounding(bits, top)
    y, _ = layer.forward(x, False)
    codes = layer.codes(x)
    assert codes.max(initial=0) <= 2**bits - 1
    assert np.array_equal(y, codes * layer.scale)
    assert np.allclose(layer.forward(y, False)[0], y)
    inside = x <= top
    assert (np.abs(y - x)[inside] <= layer.scale / 2 * (1 + 1e-9)).all()
    assert np.allclose(y[~inside], top)


def test_gradient_passes_inside_the_range_alone():
    layer = UnsignedRounding(3, 7.0)
    x = np.array([-0.5, 0.2, 3.4, 6.9, 7.1])
    y, cache = layer.forward(x, True)
    assert np.array_equal(y, [0, 0, 3, 7, 7])
    assert np.array_equal(layer.backward(np.full(5, 2.0), cache), [0, 2, 2, 2, 0])


def test_an_empty_range_gives_zero_for_zero():
    assert np.array_equal(UnsignedRounding(4, 0.0).forward(np.zeros(3), False)[0], np.zeros(3))


def test_nearest_target_rounds_to_any_set():
    targets = AdaptivFloatGrid(4).fit([3.0])
    x = np.random.default_rng(0).uniform(0, 4, 50)
    layer = NearestTarget(targets)
    y, cache = layer.forward(x, True)
    assert np.array_equal(y, targets.nearest(x))
    assert np.array_equal(layer.backward(x, cache), x)


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet", "mlp"])
def test_many_bits_change_nothing_and_one_bit_does(name):
    model, images = trained_like(name)
    exact = model.forward(images)
    for bits, close in ((16, True), (1, False)):
        copied = model.copy()
        insert_input_quantizers(copied, calibrated(copied, images, bits))
        assert np.allclose(copied.forward(images), exact, atol=2e-3) == close


def test_images_stay_as_they_are_and_the_last_input_keeps_eight_bits():
    model, images = trained_like("convnet")
    assert input_bits(model, 2) == {"conv2": 2, "conv3": 2, "fc": 8}
    assert set(input_bits(model, 4).values()) == {4}
    assert set(calibrated(model, images, 2)) == {"conv2", "conv3", "fc"}


def test_observation_sees_what_each_layer_is_given():
    model = Model(Sequential({"a": Conv2d(2, 3, 1), "b": Conv2d(3, 1, 1)}), dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(2 * BATCH_SIZE + 5, 2, 2, 2))
    seen = observe(model, x)
    assert seen["a"].smallest == x.min()
    assert seen["a"].largest == x.max()
    assert len(seen["a"].tops) == 3
    assert np.allclose(seen["a"].mean, x.mean((0, 1, 2)))
    hidden = x @ model.segment("a.weight").view(model.w)[0, 0]
    assert np.allclose(seen["b"].mean, hidden.mean((0, 1, 2)))
    assert all(each.layer.input_quantizer is None for each in weight_layers(model))


def test_observation_leaves_held_quantizers_in_place():
    model, images = trained_like("convnet")
    insert_input_quantizers(model, calibrated(model, images, 1))
    held = [each.layer.input_quantizer for each in weight_layers(model)]
    expected = model.forward(images)
    seen = observe(model, images)
    assert [each.layer.input_quantizer for each in weight_layers(model)] == held
    assert np.array_equal(model.forward(images), expected)
    assert seen["fc"].largest > 0


def test_range_rules():
    sample = np.maximum(np.random.default_rng(0).normal(size=5000), 0)
    inputs = Inputs(sample, np.zeros(1), 0.0, [2.0, 4.0])
    assert RANGES["max"](inputs, 4) == 4.0
    assert RANGES["ema"](inputs, 4) == pytest.approx(2.2)
    assert RANGES["mse"](inputs, 3) < RANGES["mse"](inputs, 8) <= sample.max()
    assert RANGES["aciq"](inputs, 3) < RANGES["aciq"](inputs, 4) <= sample.max()

    def error(top):
        y, _ = UnsignedRounding(3, top).forward(sample, False)
        return ((y - sample) ** 2).sum()

    brute = min(error(top) for top in np.linspace(0.2, sample.max(), 1000))
    assert error(RANGES["mse"](inputs, 3)) <= brute * 1.01


def test_data_free_ranges_are_those_of_the_batch_norms():
    model, _ = trained_like("convnet")
    tops = {name: layer.top for name, layer in from_batch_norms(model, 8, stds=4).items()}
    norm = weight_layers(model)[0].norm
    assert tops["conv2"] == pytest.approx((norm.bias.value + 4 * np.abs(norm.weight.value)).max())
    assert from_batch_norms(trained_like("mlp")[0], 8) == {}


def test_data_free_ranges_of_a_residual_network_count_both_summands():
    """β + n|γ| behind a batch norm alone; behind a sum, the root of the summed variances instead of |γ|."""
    model, images = trained_like("resnet")
    tops = {name: layer.top for name, layer in from_batch_norms(model, 8, stds=6).items()}
    norms = {each.name: each.norm for each in weight_layers(model)}

    def moments(norm):
        return norm.bias.value, np.abs(norm.weight.value)

    mean, std = moments(norms["conv1"])
    assert (norms["conv1"].weight.value < 0).any()
    assert tops["layer1.0.conv1"] == pytest.approx((mean + 6 * std).max())
    # The first block adds the stem's output, cut at zero, to its own batch norm's.
    drawn = np.maximum(np.random.default_rng(0).normal(mean, std, (400_000, mean.size)), 0)
    own_mean, own = moments(norms["layer1.0.conv2"])
    expected = own_mean + drawn.mean(0) + 6 * np.sqrt(own**2 + drawn.var(0))
    assert tops["layer2.0.conv1"] == pytest.approx(expected.max(), rel=0.01)
    seen = observe(model, images)
    assert list(tops) == list(seen)[1:]
    assert all(top > 0.9 * seen[name].largest for name, top in tops.items())


class Doubling(Layer):
    """A quantizer with a parameter of its own, as training-time ones have."""

    def __init__(self):
        self.factor = Parameter((1,), "norm", lambda rng, shape: np.full(shape, 2.0))

    def parameters(self):
        return {"factor": self.factor}

    def forward(self, x, training):
        return x * self.factor.value, x

    def backward(self, dy, cache, need_dx=True):
        self.factor.grad[...] = (dy * cache).sum()
        return dy * self.factor.value


def test_quantizers_of_weights_and_inputs_train_in_the_flat_vector():
    model = convnet(widths=(3, 2), seed=0, dtype=np.float64)
    plain, w = model.copy(), model.w.copy()
    layer = weight_layers(model)[1].layer
    layer.input_quantizer, layer.weight_quantizer = Doubling(), Doubling()
    model.lay_out_again()
    assert model.w.size == w.size + 2
    names = [part.name for part in model.segments]
    for part in plain.segments:
        assert np.array_equal(model.segment(part.name).view(model.w), part.view(w))
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 4, 4, 1)), rng.integers(0, 10, 6)
    model.loss_and_grad(x, labels)
    gradient = model.g.copy()
    for name in (
        "conv2.input_quantizer.factor",
        "conv2.weight_quantizer.factor",
        "conv2.weight",
        "conv1.weight",
    ):
        assert name in names
        i = model.segment(name).start
        loss = []
        for step in (1e-6, -1e-6):
            model.w[i] += step
            loss.append(model.loss_and_grad(x, labels))
            model.w[i] -= step
        assert gradient[i] == pytest.approx((loss[0] - loss[1]) / 2e-6, rel=1e-4, abs=1e-8)
    optimizer = SGD(0.1)
    before = model.w.copy()
    optimizer.update(model, optimizer.init(model))
    assert model.w[model.segment(names[-1]).start] != before[model.segment(names[-1]).start]


def test_a_convolution_s_bias_is_off_by_default_and_trains_when_on():
    assert Conv2d(1, 2, 1).bias is None
    model = Model(Sequential({"conv": Conv2d(1, 2, 1, bias=True)}), dtype=np.float64)
    assert [part.name for part in model.segments] == ["conv.weight", "conv.bias"]
    x = np.random.default_rng(0).normal(size=(3, 2, 2, 1))
    model.segment("conv.bias").view(model.w)[...] = [1.0, -2.0]
    y, cache = model.net.forward(x, True)
    assert np.allclose(y, x @ model.segment("conv.weight").view(model.w)[0, 0] + [1.0, -2.0])
    model.net.backward(np.ones_like(y), cache)
    assert np.array_equal(model.segment("conv.bias").view(model.g), [12, 12])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: calibrated(m, x, 0), r"1\.\.16; got 0"),
        (lambda m, x: calibrated(m, x, 4, "median"), "rule must be one of max, ema, mse, aciq"),
        (lambda m, x: calibrated(m, x[:0], 4), "images must not be empty"),
        (lambda m, x: insert_input_quantizers(m, {"conv9": NearestTarget(None)}), "no layer conv9"),
        (lambda m, x: from_batch_norms(m, 4, -1.0), "stds must be a finite number >= 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*trained_like("convnet"))


def test_negative_inputs_are_refused():
    model = Model(Sequential({"a": Conv2d(1, 2, 1), "b": Conv2d(2, 1, 1)}), dtype=np.float64)
    with pytest.raises(ValueError, match="inputs of b must be >= 0"):
        calibrated(model, np.random.default_rng(0).normal(size=(9, 2, 2, 1)), 4)


def test_a_quantized_copy_keeps_its_integers_and_its_quantizers():
    model, images = trained_like("convnet")
    small = quantize(model, 4)
    insert_input_quantizers(small, calibrated(small, images, 4))
    copied = small.copy()
    assert np.array_equal(copied.forward(images), small.forward(images))
    assert copied.quantized.keys() == small.quantized.keys()
