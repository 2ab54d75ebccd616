"""Re-estimated statistics are those of the images, and mend what quantization does to a network."""

import numpy as np
import pytest

from psgd_ref.compress import adaround, calibrated, lapq, quantize, reestimate_batch_norm
from psgd_ref.models import convnet, mlp
from psgd_ref.nn import BatchNorm, Linear, Model, Sequential
from psgd_ref.nn.parameters import named_layers
from tests.compress.networks import trained_like


def test_reestimated_statistics_are_those_of_the_images():
    norm = BatchNorm(3)
    model = Model(Sequential({"bn": norm, "fc": Linear(3, 2)}))
    x = np.random.default_rng(0).normal(2, 3, size=(40, 3)).astype(np.float32)
    reestimate_batch_norm(model, x, batch_size=10)
    parts = x.reshape(4, 10, 3)
    assert np.allclose(norm.running_mean, x.mean(0), atol=1e-5)
    assert np.allclose(norm.running_var, parts.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert norm.momentum == BatchNorm.momentum
    reestimate_batch_norm(mlp(), np.zeros((0, 64), np.float32))


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet"])
def test_one_batch_gives_the_network_of_that_batch(name):
    """Statistics of one batch, used in evaluation, are batch normalisation in training on that batch."""
    model, images = trained_like(name)
    rough = quantize(model, 3)
    images = np.concatenate([images] * 8)
    reestimate_batch_norm(rough, images, batch_size=len(images))
    got = rough.forward(images)
    # Running variances are unbiased, the batch's own are not.
    assert np.allclose(got, rough.forward(images, training=True), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused_before_anything_changes(value):
    model, images = trained_like("convnet")
    bad, before = images.copy(), {name: buffer.copy() for name, buffer in model.buffers.items()}
    bad[1].flat[0] = value
    for call in (
        lambda: reestimate_batch_norm(model, bad),
        lambda: adaround(model, bad, 3),
        lambda: calibrated(model, bad, 4),
        lambda: lapq(model, bad, np.zeros(len(bad), int), 3),
    ):
        with pytest.raises(ValueError, match=r"images must be finite, or .*; image 1 is not"):
            call()
    assert all(np.array_equal(before[name], buffer) for name, buffer in model.buffers.items())


def test_images_that_are_no_array_are_refused_in_words():
    model, images = trained_like("convnet")
    for call in (reestimate_batch_norm, lambda m, x: calibrated(m, x, 4), lambda m, x: adaround(m, x, 3)):
        with pytest.raises(ValueError, match=r"images must be a floating-point array, .*; got list"):
            call(model, images.tolist())


def test_statistics_alone_change():
    model, images = trained_like("resnet")
    w = model.w.copy()
    buffers = {name: value.copy() for name, value in model.buffers.items()}
    reestimate_batch_norm(model, images + 1)
    assert np.array_equal(model.w, w)
    assert all(not np.array_equal(model.buffers[name], value) for name, value in buffers.items())
    norms = [layer for _, layer in named_layers(model.net) if isinstance(layer, BatchNorm)]
    assert {norm.momentum for norm in norms} == {BatchNorm.momentum}


def test_what_the_model_knew_is_forgotten():
    """Re-estimation replaces, it does not average with what was there."""
    model, images = trained_like("convnet")
    spoilt = model.copy()
    for value in spoilt.buffers.values():
        value[...] = 1e6
    reestimate_batch_norm(model, images)
    reestimate_batch_norm(spoilt, images)
    assert np.allclose(spoilt.forward(images), model.forward(images), rtol=1e-5)


def test_bad_input_is_refused():
    for call, message in (
        (lambda: reestimate_batch_norm(convnet(), np.zeros((0, 8, 8, 1), np.float32)), "empty"),
        (
            lambda: reestimate_batch_norm(convnet(), np.zeros((1, 8, 8, 1), np.float32), 0),
            "batch_size must be",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
