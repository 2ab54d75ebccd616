"""Gradient-L1: the worked H sgn(g), differences of its value, and that it shrinks the norm."""

from types import SimpleNamespace

import numpy as np
import pytest

from psgd_ref.compress import LSQ, insert_fake_quantizers
from psgd_ref.compress.selection import weight_segments
from psgd_ref.data import load_digits
from psgd_ref.models import mlp
from psgd_ref.nn import Segment
from psgd_ref.training import SGD, GradientL1, gradient_l1

DATA = load_digits()
IMAGES, LABELS = DATA.normalise(DATA.train.images[:60]).reshape(60, 64).astype(float), DATA.train.labels[:60]


def test_worked_product(monkeypatch):
    matrix = np.array([[3, 1, 0], [1, 2, 0.5], [0, 0.5, 1]])
    w = np.array([0.3, -0.7, 0.2])
    model = SimpleNamespace(w=w, g=matrix @ w, segments=(Segment("w", (3,), "weight", 0, 3),))
    model.loss_and_grad = lambda images, labels, label_smoothing: 0.5 * w @ matrix @ w
    monkeypatch.setattr(
        gradient_l1, "Hessian", lambda *_: SimpleNamespace(product=lambda vector: matrix @ vector)
    )
    assert np.allclose(model.g, [0.2, -1, -0.15])
    value = GradientL1(0.1)(model, None, None, 0)
    assert np.allclose((model.g - matrix @ w) / 0.1, [2, -1.5, -1.5])
    assert value == pytest.approx(0.5 * w @ matrix @ w + 0.1 * 1.35)


def test_gradient_is_the_difference_quotient_of_the_value():
    model, objective = mlp((64, 8, 10), seed=0, dtype=np.float64), GradientL1(0.3, 0.1)
    objective(model, IMAGES, LABELS, 0)
    gradient, w = model.g.copy(), model.w.copy()
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(w.size)
        h, ends = 1e-7, []
        for side in (h, -h):
            model.w[...] = w + side * direction
            ends.append(objective(model, IMAGES, LABELS, 0))
        assert gradient @ direction == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4)


def test_training_with_it_leaves_a_smaller_gradient():
    """Of the same images, so that nothing but the penalty differs; one batch of all of them."""
    norms = []
    for strength in (0.0, 0.02):
        model, optimizer = mlp((64, 16, 10), seed=0), SGD(0.05, 0.0, 0.0)
        state = optimizer.init(model)
        for step in range(300):
            GradientL1(strength)(model, IMAGES.astype(np.float32), LABELS, step)
            optimizer.update(model, state)
        model.loss_and_grad(IMAGES.astype(np.float32), LABELS)
        norms.append(sum(np.abs(part.view(model.g)).sum() for part in weight_segments(model)))
    assert norms[1] < norms[0]


def test_quantizers_have_no_second_derivatives():
    model = mlp((64, 8, 10), seed=0)
    insert_fake_quantizers(model, LSQ, 4)
    with pytest.raises(ValueError, match="quantizer"):
        GradientL1(0.1)(model, IMAGES, LABELS, 0)
