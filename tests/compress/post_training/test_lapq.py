"""LAPQ: the parabola, the start, and a search that only ever improves the calibration loss."""

import numpy as np
import pytest

from psgd_ref.compress import PNormGrid, QuantizedModel, lapq, quantize
from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.post_training.lapq import POWERS, parabola_vertex
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.training import PSGD
from tests.compress.networks import trained_like


def task(name="convnet"):
    """A network, images and the labels it gives them itself: quantization is the only source of loss."""
    model, images = trained_like(name)
    model.w[...] *= 1.5
    return model, images, model.forward(images).argmax(1)


def loss(model, images, labels):
    return cross_entropy(model.forward(images), labels)[0]


def test_vertex_of_an_exact_parabola():
    x = np.linspace(2, 4, 10)
    assert parabola_vertex(x, 3 * (x - 2.7) ** 2 + 1) == pytest.approx(2.7)
    assert parabola_vertex(x, -((x - 3) ** 2)) is None
    assert parabola_vertex(x, (x - 9) ** 2) is None


@pytest.mark.parametrize(("bits", "activations"), [(3, None), (3, 4), (8, 2)])
def test_each_step_improves_the_loss_it_reports(bits, activations):
    model, images, labels = task()
    found = lapq(model, images, labels, bits, activations, evaluations=40)
    assert len(found.losses) == len(POWERS)
    assert found.start <= min(found.losses) * (1 + 1e-12)
    # Weights of 3 bits leave room for the search; that 2-bit inputs do is not certain.
    assert found.end < found.start if bits < 8 else found.end <= found.start
    assert found.end == pytest.approx(loss(found.model, images, labels))
    assert 0 < found.evaluations <= 42
    held = [each.layer.input_quantizer is not None for each in weight_layers(found.model)]
    assert held == ([False] * 4 if activations is None else [False, True, True, True])


def test_losses_are_those_of_the_p_norm_grids():
    model, images, labels = task()
    found = lapq(model, images, labels, 4, evaluations=0, correction="none")
    for p, value in ((POWERS[0], found.losses[0]), (POWERS[-1], found.losses[-1])):
        rough = quantize(model, 4, lambda bits, per_channel, p=p: PNormGrid(bits, p=p))
        assert value == pytest.approx(loss(rough, images, labels), rel=1e-9)
    assert found.evaluations == 0
    assert found.end == found.start


def test_eight_bits_have_nothing_to_search():
    model, images, labels = task()
    assert lapq(model, images, labels, 8, 8).evaluations == 0


def test_integers_stay_visible():
    model, images, labels = task("resnet")
    found = lapq(model, images, labels, 3, evaluations=5)
    for name, tensor in found.model.quantized.items():
        assert np.array_equal(tensor.values, found.model.segment(name).view(found.model.w))


def test_its_grids_are_targets_to_train_towards():
    model, images, labels = task()
    found = lapq(model, images, labels, 3, evaluations=5, correction="none")
    assert np.array_equal(QuantizedModel(model, found.grids).w, found.model.w)
    optimizer = PSGD(0.01, momentum=0, weight_decay=0, grid=found.grids, strength=1.0)
    model.g[...], w = 1.0, model.w.copy()
    optimizer.update(model, optimizer.init(model))
    for part in model.segments:
        before, after = part.view(w), part.view(model.w)
        rule = found.grids.get(part.name)
        s = 1.0 if rule is None else np.abs(before - rule.fit(before).nearest(before))
        assert np.allclose(after, before - 0.01 * s, atol=1e-12)


def test_bad_input_is_refused():
    model, images, labels = task()
    with pytest.raises(ValueError, match="evaluations must be a whole number >= 0; got -1"):
        lapq(model, images, labels, evaluations=-1)
    with pytest.raises(ValueError, match="images must not be empty"):
        lapq(model, images[:0], labels[:0])
    with pytest.raises(ValueError, match="labels must be 8 whole numbers"):
        lapq(model, images, labels[:3])
