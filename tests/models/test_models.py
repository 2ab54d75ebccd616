"""Whole networks: their gradient by one projected difference, their flat vector, copies and refusals."""

import pickle

import numpy as np
import pytest

from psgd_ref.models import convnet, mlp, resnet, vgg

BUILDERS = {
    "mlp": (lambda **k: mlp((12, 7, 5), **k), (6, 12)),
    "mlp on images": (lambda **k: mlp((12, 7, 5), **k), (6, 2, 3, 2)),
    "convnet": (lambda **k: convnet(1, (4, 6), 5, **k), (5, 7, 8, 1)),
    "convnet of one": (lambda **k: convnet(2, (4,), 5, **k), (5, 3, 3, 2)),
    "resnet": (lambda **k: resnet(8, 5, width=4, **k), (3, 9, 7, 3)),
    "vgg": (lambda **k: vgg(11, 5, width=4, **k), (3, 32, 32, 3)),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_gradient_is_that_of_the_loss(name):
    build, shape = BUILDERS[name]
    model = build(dtype=np.float64, seed=1)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=shape), rng.integers(0, 5, shape[0])
    model.loss_and_grad(x, labels, 0.1)
    gradient, start = model.g.copy(), model.w.copy()
    # A step this short crosses few kinks of ReLU and max-pooling, and float64 has the digits for it.
    direction, step = rng.normal(size=start.size), 1e-8

    def loss(w):
        model.w[...] = w
        return model.loss_and_grad(x, labels, 0.1)

    measured = (loss(start + step * direction) - loss(start - step * direction)) / (2 * step)
    assert measured == pytest.approx(gradient @ direction, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_segments_tile_the_flat_vector(name):
    build, _ = BUILDERS[name]
    model = build()
    assert model.w.dtype == np.float32
    ends = [0] + [segment.stop for segment in model.segments]
    assert [segment.start for segment in model.segments] == ends[:-1]
    assert ends[-1] == model.w.size == model.g.size
    assert len({segment.name for segment in model.segments}) == len(model.segments)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("duplicate", [lambda m: m.copy(), lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(name, duplicate):
    build, shape = BUILDERS[name]
    model = build(seed=3)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    model.forward(x, training=True)
    copied = duplicate(model)
    before = model.forward(x)
    assert np.array_equal(copied.forward(x), before)
    copied.w[...] = 0
    for buffer in copied.buffers.values():
        buffer[...] = 7
    assert np.array_equal(model.forward(x), before)


def test_writing_the_flat_vector_changes_the_network():
    model = convnet(seed=0)
    x = np.ones((1, 8, 8, 1), np.float32)
    before = model.forward(x)
    model.segment("fc.bias").view(model.w)[...] += 1
    assert np.allclose(model.forward(x), before + 1)


def test_the_same_seed_gives_the_same_weights():
    assert np.array_equal(resnet(8, seed=5).w, resnet(8, seed=5).w)
    assert not np.array_equal(resnet(8, seed=5).w, resnet(8, seed=6).w)


def test_initial_values_have_the_variance_of_he():
    model = resnet(20, seed=0)
    for segment in model.segments:
        if segment.role == "weight" and segment.stop - segment.start > 2000:
            fan_in = np.prod(segment.shape[:-1])
            assert segment.view(model.w).var() == pytest.approx(2 / fan_in, rel=0.15)


def test_resnet_has_the_published_size():
    # He et al. 2016, section 4.2, count 0.27 M parameters for depth 20 and 0.46 M for 32.
    assert round(resnet(20).w.size / 1e6, 2) == 0.27
    assert round(resnet(32).w.size / 1e6, 2) == 0.47


def test_running_statistics_follow_pytorch_rule():
    model = convnet(1, (3,), 2, seed=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 1))
    model.forward(x, training=True)
    from psgd_ref.nn import functional as F  # noqa: N812

    z = F.conv2d(x, model.segment("conv1.weight").view(model.w), padding=1).reshape(-1, 3)
    assert np.allclose(model.buffers["bn1.running_mean"], 0.1 * z.mean(0), atol=1e-6)
    assert np.allclose(model.buffers["bn1.running_var"], 0.9 + 0.1 * z.var(0, ddof=1), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resnet(21), "6n \\+ 2"),
        (lambda: resnet(62), "8..56"),
        (lambda: vgg(12), "one of 11, 13, 16, 19"),
        (lambda: mlp((3,)), "at least input and output"),
        (lambda: convnet(widths=()), "at least one convolution"),
        (lambda: convnet(dtype=np.float16), "float32 or float64"),
        (lambda: convnet(seed=-1), "seed must be a whole number >= 0"),
        (lambda: convnet().forward(np.zeros((0, 8, 8, 1))), "empty"),
        (lambda: convnet().forward(np.zeros((1, 8, 8, 1), np.uint8)), "floating-point"),
        (lambda: convnet().forward(np.zeros((1, 8, 8, 3))), "1 channels"),
        (lambda: convnet().loss_and_grad(np.zeros((2, 8, 8, 1)), np.array([0, 10])), "0..9"),
        (lambda: convnet().segment("conv9.weight"), "no parameter 'conv9.weight'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
