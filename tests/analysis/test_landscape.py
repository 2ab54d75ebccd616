"""Lines and planes of weights, the loss along them, and where weights lie in their cells."""

import numpy as np
import pytest

from psgd_ref.analysis import (
    ModelWarp,
    Slice,
    filter_normalised,
    fitted_plane,
    loss_at,
    losses,
    noise_drift,
    occupation,
    straight,
)
from psgd_ref.compress import MinMaxGrid, quantize
from psgd_ref.core import UniformGrid, Warp, mirror_step, psgd_step, warped_step
from psgd_ref.models import convnet, mlp
from psgd_ref.nn.functional import cross_entropy


def network():
    rng = np.random.default_rng(0)
    model = convnet(2, (4, 5), 3)
    return model, rng.normal(size=(12, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 12), rng


def test_every_filter_of_a_direction_is_as_long_as_the_model_s():
    model, *_, rng = network()
    plane = filter_normalised(model, rng)
    assert np.array_equal(plane.origin, model.w)
    for axis in plane.axes:
        for segment in model.segments:
            w, d = segment.view(model.w), segment.view(axis)
            if segment.role != "weight":
                assert (d == 0).all()
                continue
            norms = (np.linalg.norm(a.reshape(-1, segment.shape[-1]), axis=0) for a in (w, d))
            assert np.allclose(*norms, rtol=1e-5)
    assert abs(plane.axes[0] @ plane.axes[1]) < 0.3 * np.linalg.norm(plane.axes[0]) ** 2


def test_a_plane_through_three_points_and_one_fitted_to_four():
    points = np.random.default_rng(1).normal(size=(4, 50))
    plane = fitted_plane(points[:3])
    assert np.allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    for point in points[:3]:
        assert np.allclose(plane.point(plane.coordinates(point)), point, atol=1e-12)
    four = fitted_plane(points)
    rest = sum(np.sum((four.point(four.coordinates(p)) - p) ** 2) for p in points)
    assert rest == pytest.approx(np.linalg.svd(points - points.mean(0))[1][2] ** 2)
    with pytest.raises(ValueError, match="at least three points; got 2"):
        fitted_plane(points[:2])


def test_a_line_straight_in_the_warped_space():
    model, *_ = network()
    warp = ModelWarp(model, MinMaxGrid(3), eps=0.01)
    end = quantize(model, 3).w.astype(np.float64)
    line = straight(model.w, end, warp)
    assert np.allclose(line.point([0.0]), model.w, atol=1e-6)
    assert np.allclose(line.point([1.0]), end, atol=1e-6)
    middle = warp(line.point([0.5]))
    assert np.allclose(middle, (warp(model.w.astype(np.float64)) + warp(end)) / 2, atol=1e-9)
    assert line.coordinates(line.point([0.3])) == pytest.approx([0.3])
    with pytest.raises(ValueError, match=r"coordinates must have the shape \(1,\)"):
        line.point([1.0, 2.0])


@pytest.mark.parametrize("training", [True, False])
def test_losses_are_those_of_the_models_at_the_points(training):
    model, x, labels, rng = network()
    plane = filter_normalised(model, rng)
    coordinates = np.array([[0, 0], [0.5, -0.5], [1, 1]])
    before = {name: value.copy() for name, value in model.buffers.items()}
    found = losses(model, plane, coordinates, x, labels, 0.1, training)
    for place, value in zip(coordinates, found, strict=True):
        moved = model.copy()
        moved.w[...] = model.w + place @ plane.axes
        assert value == pytest.approx(cross_entropy(moved.forward(x, training), labels, 0.1)[0], rel=1e-6)
        assert loss_at(model, plane.point(place), x, labels, 0.1, training) == value
    assert all(np.array_equal(value, before[name]) for name, value in model.buffers.items())
    with pytest.raises(ValueError, match="w must have the model's shape"):
        loss_at(model, np.zeros(3), x, labels)


def test_a_loss_that_is_not_finite_is_infinite():
    model = mlp((3, 2))
    x = np.ones((2, 3), np.float32)
    far = Slice(np.zeros(8), np.full((1, 8), 1e39))
    assert losses(model, far, [[1.0]], x, np.array([0, 1]))[0] == np.inf


def test_occupation_of_weights_that_are_placed_by_hand():
    model = mlp((4, 4, 4, 4))
    segment = model.segment("fc2.weight")
    view = segment.view(model.w)
    view[...] = 0
    view.flat[:4] = [3, -1.25, 0.5, 2.1]  # Δ = 1 at three bits; the halfway weight goes to the even target
    place = occupation(model, MinMaxGrid(3))
    inner = place.indices < segment.stop
    assert place.indices.size == 16
    offset = place.offset[inner]
    assert np.allclose(offset[:4], [0, -0.25, 0.5, 0.1], atol=1e-6)
    assert (place.step[inner] == 1).all()
    assert place.mean_distance() == pytest.approx(0.85 / 16)
    assert place.typical_distance() == pytest.approx(
        np.exp((np.log([0.25, 0.5, 0.1]).sum() + 13 * np.log(1e-6)) / 16), rel=1e-4
    )
    density, edges = place.histogram(10)
    assert (density * np.diff(edges)).sum() == pytest.approx(1)


def test_evenly_spread_weights_have_the_values_that_the_docstrings_name():
    model = mlp((2, 400, 300, 2))
    segment = model.segment("fc2.weight")
    segment.view(model.w)[...] = np.random.default_rng(0).uniform(-7, 7, segment.shape)
    place = occupation(model, MinMaxGrid(4))
    inner = (place.indices >= segment.start) & (place.indices < segment.stop)
    alone = type(place)(place.offset[inner], place.step[inner], place.indices[inner])
    assert alone.mean_distance() == pytest.approx(0.25, abs=0.002)
    assert alone.typical_distance() == pytest.approx(0.5 / np.e, abs=0.002)


@pytest.mark.parametrize(
    ("name", "step"), [("psgd", psgd_step), ("warp", warped_step), ("mirror", mirror_step)]
)
def test_noise_moves_ln_d_as_predicted(name, step):
    """A simulation of many weights, each with its own strength and noise, far from the walls."""
    rng = np.random.default_rng(4)
    strength, lr, count, steps = 8.0, 0.02, 20000, 10
    deviation = rng.choice([0.3, 0.6], count)
    warp = Warp(UniformGrid(1.0), strength=strength)
    w = np.full(count, 0.02)
    for _ in range(steps):
        w = step(w, deviation * rng.normal(size=count), lr, warp)
    measured = np.log(np.abs(w) / 0.02).mean() / steps
    predicted = noise_drift(deviation**2, np.full(count, strength), lr, name)
    error = lr * strength * np.sqrt((deviation**2).mean() / count / steps)
    assert abs(measured - predicted) < 4 * error + 0.1 * abs(predicted)
