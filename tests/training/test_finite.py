"""There is no accuracy out of NaN: the first layer to blame is named."""

import numpy as np
import pytest

from psgd_ref.models import convnet, mlp, resnet
from psgd_ref.training import accuracy
from psgd_ref.training.evaluation import score
from psgd_ref.training.finite import NotFiniteError

IMAGES, LABELS = np.random.default_rng(0).standard_normal((6, 8, 8, 1)).astype("f"), np.arange(6)


def spoil_weight(model):
    model.segment("layer2.0.conv1.weight").view(model.w).flat[7] = np.nan


def spoil_bias(model):
    model.segment("fc.bias").view(model.w)[0] = np.inf


def spoil_variance(model):
    model.buffers["layer1.0.bn1.running_var"][1] = -1


def spoil_mean(model):
    model.buffers["bn1.running_mean"][1] = np.inf


def grow(model):
    for name in ("layer1.0.bn2.weight", "layer3.0.bn2.weight"):
        model.segment(name).view(model.w)[...] = 3e38


@pytest.mark.parametrize(
    ("spoil", "blamed"),
    [
        (spoil_weight, "layer2.0.conv1.weight holds NaN"),
        (spoil_bias, "fc.bias holds"),
        (spoil_variance, "negative variance: layer1.0.bn1.running_var, -1$"),
        (spoil_mean, "bn1.running_mean holds"),
        (grow, r"the output of layer[13]\.0 is the first that is not$"),
    ],
)
def test_the_first_layer_to_blame_is_named(spoil, blamed):
    model = resnet(8, channels=1, width=4)
    assert 0 <= accuracy(model, IMAGES, LABELS) <= 1
    spoil(model)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=blamed):
        accuracy(model, IMAGES, LABELS)


def test_images_that_are_not_finite_are_named():
    images = IMAGES.copy()
    images[2, 0, 0, 0] = np.nan
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match="the images hold NaN"):
        score(convnet(), [(images, LABELS)])


@pytest.mark.parametrize("labels", [np.array(1), LABELS[:5], np.arange(12).reshape(6, 2), 3, None, [0, 1]])
def test_labels_are_one_for_each_image(labels):
    with pytest.raises(ValueError, match="labels must be 6 whole numbers"):
        accuracy(mlp((64, 10)), IMAGES, labels)
