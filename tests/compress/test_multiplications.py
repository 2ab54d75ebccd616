"""Multiplications, counted by hand."""

import numpy as np

from psgd_ref.compress import LSQ, insert_fake_quantizers, multiplications
from psgd_ref.compress.graph import weight_layers
from psgd_ref.models import convnet, mlp


def test_of_a_convolutional_network():
    model = convnet(widths=(4, 6), seed=0)
    image = np.ones((8, 8, 1), np.float32)
    counts = {"conv1": 64 * 9 * 4, "conv2": 16 * 9 * 4 * 6, "fc": 60}
    assert multiplications(model, image) == counts
    insert_fake_quantizers(model, LSQ, 4, 4, image[None])
    inserted = [each.layer.input_quantizer for each in weight_layers(model)]
    assert multiplications(model, image) == counts
    assert [each.layer.input_quantizer for each in weight_layers(model)] == inserted


def test_of_a_perceptron():
    assert multiplications(mlp((64, 12, 10)), np.ones(64, np.float32)) == {"fc1": 768, "fc2": 120}
