"""The report's figures against their definitions."""

import numpy as np
import pytest

from psgd_ref.compress import AdaptivFloatGrid, ClipGrid, MinMaxGrid, QuantizedModel, quantize, report
from psgd_ref.compress.grids.base import as_grid
from psgd_ref.compress.post_training.report import layer_reports
from psgd_ref.compress.post_training.tensor import quantize_tensor
from psgd_ref.core import FiniteTargets, UniformGrid, volume_strength
from psgd_ref.models import mlp


def uniform_model():
    model = mlp((8, 200, 200, 8), dtype=np.float64)
    model.w[...] = np.random.default_rng(0).uniform(-1, 1, model.w.size)
    return model


def test_uniform_weights():
    model = uniform_model()
    layers = {layer.name: layer for layer in layer_reports(model, quantize(model, 5))}
    layer = layers["fc2.weight"]
    w = model.segment("fc2.weight").view(model.w)
    step = np.abs(w).max() / 15
    assert layer.bits == 5
    assert layer.step == pytest.approx((step, step))
    assert layer.strength == pytest.approx((8 / step, 8 / step))
    assert layer.strength[0] == pytest.approx(volume_strength(UniformGrid(step, 15), 0.0))
    assert layer.distance == pytest.approx(step / 4, rel=0.03)
    assert layer.clipped == 0
    assert layer.error == pytest.approx(1, rel=0.03)
    assert layer.codes == (-15, 15, 31)


def test_clipped_share():
    model = uniform_model()
    clipped = QuantizedModel(model, {"fc2.weight": ClipGrid(5, clip=0.75)})
    (layer,) = layer_reports(model, clipped)
    w = model.segment("fc2.weight").view(model.w)
    assert layer.clipped == pytest.approx((np.abs(w) > 0.75).mean())


def test_channels_show_their_range_of_steps():
    model = uniform_model()
    model.segment("fc2.weight").view(model.w)[:, 0] *= 0.1
    layer = layer_reports(model, quantize(model, 4, per_channel=True))[1]
    assert layer.name == "fc2.weight"
    assert layer.step[0] < 0.2 * layer.step[1]


def test_uneven_levels_report_error_relative_to_their_own_cells():
    rng = np.random.default_rng(0)
    levels = np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
    walls = (levels[1:] + levels[:-1]) / 2
    w = rng.uniform(walls[0], walls[-1], 200_000)
    tensor = quantize_tensor(w, as_grid(FiniteTargets(levels)))
    assert tensor.bits == 3
    assert np.array_equal(np.unique(tensor.values), levels[1:-1])
    for level in levels[1:-1]:
        at = tensor.values == level
        assert ((w - tensor.values)[at] ** 2).mean() == pytest.approx(
            tensor.uniform_variance[at][0], rel=0.03
        )


def test_text_lists_every_weight_and_the_identity():
    model = uniform_model()
    for grid in (MinMaxGrid, AdaptivFloatGrid):
        text = report(model, quantize(model, 4, grid))
        assert all((part.name in text) == (part.role == "weight") for part in model.segments)
        assert "codes - zero_point" in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1


@pytest.mark.parametrize("targets", [FiniteTargets(np.array([1.0])), UniformGrid(0.1)])
def test_targets_without_a_finite_table_have_no_codes(targets):
    with pytest.raises(ValueError, match="finite grid of at least two levels"):
        quantize_tensor(np.ones(3), as_grid(targets))
