"""Models describe themselves by a table, and predict from raw pixels or normalised images."""

import numpy as np
import pytest

from psgd_ref import nn
from psgd_ref.compress import LSQ, insert_fake_quantizers, quantize
from psgd_ref.data import load_digits
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.training import SGD, fit

MODELS = {
    "mlp": (mlp((12, 5, 3)), (2, 2, 3)),
    "convnet": (convnet(widths=(4, 8)), (9, 7, 1)),
    "resnet": (resnet(14, width=4), (13, 8, 3)),
    "vgg": (vgg(11, width=4), (32, 32, 3)),
}


def table(model):
    """The rows of a model's table as dictionaries."""
    _, heading, *lines = repr(model).splitlines()
    starts = [heading.index(word) for word in heading.split()] + [None]
    names = heading.split()
    return [
        {name: line[a:b].strip() for name, a, b in zip(names, starts, starts[1:], strict=False)}
        for line in lines
    ]


@pytest.mark.parametrize("name", MODELS)
def test_shapes_and_counts_are_those_of_a_forward_pass(name, monkeypatch):
    model, shape = MODELS[name]
    seen = []
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm, nn.ReLU, nn.Flatten, nn.MaxPool2d, nn.GlobalAvgPool)
    for kind in {next(base for base in kind.__mro__ if "forward" in vars(base)) for kind in kinds}:

        def watched(self, x, training, *args, forward=kind.forward, **kwargs):
            y, cache = forward(self, x, training, *args, **kwargs)
            seen.append((repr(self), "×".join(map(str, y.shape[1:]))))
            return y, cache

        monkeypatch.setattr(kind, "forward", watched)
    # In training: in evaluation a block's last convolution and norm are one call.
    model.forward(np.zeros((2, *shape), np.float32), training=True)
    rows = table(model)
    # The order differs where a shortcut stands beside a body.
    assert sorted((row["kind"], row["output"]) for row in rows) == sorted(seen)
    assert sum(int(row["parameters"].replace(",", "") or 0) for row in rows) == model.w.size
    assert repr(model).startswith(f"Model: {model.w.size:,} parameters, float32, inputs ")


def test_before_a_forward_pass_lengths_are_unknown():
    assert [row["output"] for row in table(convnet(widths=(4, 8)))] == [
        "?×?×4", "?×?×4", "?×?×4", "?×?×8", "?×?×8", "8", "10",
    ]  # fmt: skip


def test_bits_of_quantized_models():
    model = convnet(widths=(4, 4, 4))
    assert "bits" not in table(model)[0]
    bits = [row["bits"] for row in table(quantize(model, 3)) if row["bits"]]
    assert bits == ["W8", "W3", "W3", "W8"]
    insert_fake_quantizers(model, LSQ, 4, 4, np.ones((2, 8, 8, 1), np.float32))
    assert [row["bits"] for row in table(model) if row["bits"]] == ["W4", "W4A4", "W4A4", "W4A4"]


def test_layers_describe_themselves():
    assert repr(nn.Conv2d(3, 4, (3, 2), stride=2, bias=True)) == "Conv2d(3, 4, (3, 2), stride=2, bias=True)"
    assert repr(nn.MaxPool2d(3, 2, 1)) == "MaxPool2d(3, stride=2, padding=1)"
    assert (
        repr(nn.Sequential({"a": nn.ReLU(), "b": nn.AvgPool2d(2)})) == "Sequential(a=ReLU(), b=AvgPool2d(2))"
    )


def test_predict_takes_raw_pixels_once_it_knows_how_to_normalise_them():
    data, model = load_digits(), mlp((64, 10))
    raw = data.test.images
    with pytest.raises(ValueError, match="raw pixels, and this model knows no mean and std"):
        model.predict(raw)
    normalised = data.normalise(raw)
    expected = model(normalised).argmax(axis=1)
    assert np.array_equal(model.predict(normalised), expected)
    model.pixels = data.mean, data.std
    assert np.array_equal(model.predict(raw), expected)
    fit(model, SGD(0.1), data, epochs=1, report=False)
    expected = model(normalised).argmax(axis=1)
    for trained in (model, model.copy(), quantize(model, 16)):
        assert np.array_equal(trained.predict(raw), trained(normalised).argmax(axis=1))
    assert np.array_equal(model.predict(raw), expected)
