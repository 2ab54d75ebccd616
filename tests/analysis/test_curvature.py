"""The warp of a whole model, its Hessian there, and the expansion of the quantization loss."""

import numpy as np
import pytest

from psgd_ref.analysis import ModelWarp, extreme_eigenvalues, quantization_expansion
from psgd_ref.compress import MinMaxGrid, quantize
from psgd_ref.core.curvature import quantization_loss, warped_hessian
from psgd_ref.models import convnet, mlp
from psgd_ref.nn import Hessian
from psgd_ref.training import PSGD

GRID = MinMaxGrid(3)


def network():
    rng = np.random.default_rng(0)
    model = mlp((6, 5, 5, 3), dtype=np.float64)
    model.w += 0.2 * rng.normal(size=model.w.shape)
    return model, rng.normal(size=(40, 6)), rng.integers(0, 3, 40), rng


def dense(product, n):
    return np.array([product(v) for v in np.eye(n)])


def test_the_scale_is_that_of_the_optimiser_and_the_targets_those_of_quantize():
    model = convnet(1, (4, 4), 3, dtype=np.float64)
    warp = ModelWarp(model, GRID, eps=0.01)
    optimizer = PSGD(grid=GRID, eps=0.01)
    assert optimizer.position is not None
    assert np.array_equal(
        warp.scale(model.w), optimizer.position.scale(model, optimizer.position_state(optimizer.init(model)))
    )
    assert np.allclose(warp.targets(model.w), quantize(model, 3).w, atol=1e-12)


@pytest.mark.parametrize("per_channel", [False, True])
def test_inverse_and_derivatives(per_channel):
    model = convnet(1, (4, 4), 3, dtype=np.float64)
    warp = ModelWarp(model, MinMaxGrid(3, per_channel), eps=0.01)
    y, h = warp(model.w), 1e-6
    assert np.allclose(warp.inverse(y), model.w, atol=1e-12)
    slope = (warp.inverse(y + h) - warp.inverse(y - h)) / (2 * h)
    assert np.allclose(slope, np.sqrt(warp.scale(model.w)), atol=1e-3)
    norms = [segment for segment in model.segments if segment.role == "norm"]
    assert norms
    for segment in norms:
        assert np.array_equal(segment.view(y), segment.view(model.w))
        assert (segment.view(warp.scale(model.w)) == 1).all()
        assert (segment.view(warp.bend(model.w)) == 0).all()


def test_the_warped_hessian_is_that_of_the_composed_loss():
    """Against second differences of L ∘ F⁻¹, and against the dense closed form of the core."""
    model, x, labels, rng = network()
    warp = ModelWarp(model, GRID, eps=0.05)
    # Off the targets, where f⁻¹ has no second derivative.
    model.w += 0.02 * rng.choice([-1, 1], model.w.size)
    hessian = Hessian(model, x, labels)
    n, h = model.w.size, 1e-4
    full = dense(warp.hessian_product(hessian.product, model.w, hessian.gradient), n)

    y = warp(model.w)

    def gradient_y(y):
        moved = model.copy()
        moved.w[...] = warp.inverse(y)
        moved.loss_and_grad(x, labels)
        return moved.g * np.sqrt(warp.scale(moved.w))

    columns = rng.choice(n, 12, replace=False)
    for j in columns:
        e = h * np.eye(n)[j]
        assert np.allclose(full[j], (gradient_y(y + e) - gradient_y(y - e)) / (2 * h), atol=2e-4)
    segment = model.segment("fc2.weight")
    own = warped_hessian(
        dense(hessian.product, n)[segment.span, segment.span],
        hessian.gradient[segment.span],
        segment.view(model.w).ravel(),
        next(w for w, part in warp._parts(model.w) if part.shape == segment.shape),
    )
    assert np.allclose(full[segment.span, segment.span], own, atol=1e-12)


def test_without_the_gradient_the_second_term_is_left_out():
    model, x, labels, _ = network()
    warp, hessian = ModelWarp(model, GRID, eps=0.05), Hessian(model, x, labels)
    root = np.sqrt(warp.scale(model.w))
    expected = root[:, None] * dense(hessian.product, model.w.size) * root
    assert np.allclose(dense(warp.hessian_product(hessian.product, model.w), model.w.size), expected)


def test_the_largest_eigenvalue_of_a_network():
    model, x, labels, _ = network()
    hessian, n = Hessian(model, x, labels, 0.1), model.w.size
    (top,) = extreme_eigenvalues(hessian.product, n, tolerance=1e-9)
    exact = np.linalg.eigvalsh(dense(hessian.product, n))[-1]
    assert top == pytest.approx(exact, rel=1e-6)


def test_the_expansion_is_the_closed_form_and_its_rest_is_of_third_order():
    model, x, labels, _ = network()
    hessian = Hessian(model, x, labels, 0.1)
    h = dense(hessian.product, model.w.size)
    rests = []
    q = quantize(model, 8).w - model.w
    for part in (1.0, 0.5, 0.25):
        found = quantization_expansion(hessian, model.w + part * q, x, labels, 0.1)
        assert found.predicted == pytest.approx(quantization_loss(h, hessian.gradient, part * q), abs=1e-14)
        assert found.squared == pytest.approx(part**2 * q @ q)
        rests.append(abs(found.true - found.predicted))
    assert np.log2(rests[0] / rests[1]) == pytest.approx(3, abs=0.5)
    assert np.log2(rests[1] / rests[2]) == pytest.approx(3, abs=0.5)
