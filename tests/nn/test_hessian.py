"""Hessian-vector products: against the dense Hessian, closed forms and differences; what they leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import calibrated, insert_input_quantizers
from psgd_ref.models import convnet, mlp, resnet
from psgd_ref.nn import Hessian, Model, hessian_vector
from psgd_ref.nn.functional import cross_entropy
from tests.nn.networks import modern, pools

NETWORKS = {
    "mlp": lambda: mlp((12, 7, 5, 4), dtype=np.float64),
    "convnet": lambda: convnet(2, (4, 4, 5), 4, dtype=np.float64),
    "resnet": lambda: resnet(8, 4, channels=2, width=2, dtype=np.float64),
    "pools": pools,
    "modern": modern,
}


def point(name, seed=0, count=6):
    """A network away from its initial values, images and labels."""
    rng = np.random.default_rng(seed)
    model = NETWORKS[name]()
    model.w += 0.3 * rng.normal(size=model.w.shape)
    for buffer in model.buffers.values():
        buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
    shape = (count, 12) if name == "mlp" else (count, 8, 7, 2)
    return model, rng.normal(size=shape), rng.integers(0, 4, count), rng


@pytest.mark.parametrize("name", NETWORKS)
@settings(deadline=None, derandomize=True, max_examples=5)
@given(seed=st.integers(0, 1000), label_smoothing=st.sampled_from([0.0, 0.2]))
def test_exact_equals_differences_of_gradients(name, seed, label_smoothing):
    model, x, labels, rng = point(name, seed)
    v = rng.normal(size=model.w.shape)
    exact = hessian_vector(model, x, labels, v, label_smoothing)
    # Short steps, so that no unit passes its kink.
    measured = hessian_vector(model, x, labels, v, label_smoothing, "differences", 1e-8)
    assert np.allclose(exact, measured, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_against_the_dense_hessian_of_the_loss(name, training):
    """Every entry of some rows, by second differences of the loss alone: no backward pass is trusted."""
    model, x, labels, rng = point(name)
    hessian = Hessian(model, x, labels, 0.1, training)

    def loss(w):
        moved = model.copy()
        moved.w[...] = w
        return cross_entropy(moved.forward(x, training), labels, 0.1)[0]

    h = 1e-4
    rows = rng.choice(model.w.size, 2, replace=False)
    columns = rng.choice(model.w.size, 12, replace=False)
    unit = h * np.eye(model.w.size)
    for i in rows:
        row = hessian.product(unit[i] / h)
        for j in columns:
            corners = [
                loss(model.w + unit[i] + unit[j]),
                loss(model.w + unit[i] - unit[j]),
                loss(model.w - unit[i] + unit[j]),
                loss(model.w - unit[i] - unit[j]),
            ]
            measured = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
            assert abs(measured - row[j]) < 2e-4 * (1 + abs(row[j])), (i, j)
    slope = [(loss(model.w + unit[j]) - loss(model.w - unit[j])) / (2 * h) for j in columns]
    assert np.allclose(hessian.gradient[columns], slope, atol=1e-6)
    assert hessian.loss == pytest.approx(loss(model.w), rel=1e-12)


def test_softmax_regression_has_its_closed_form():
    """One linear layer: H = mean of (diag p − p pᵀ) ⊗ x xᵀ, bias as an input of 1."""
    rng = np.random.default_rng(3)
    model = mlp((5, 3), dtype=np.float64)
    x, labels = rng.normal(size=(20, 5)), rng.integers(0, 3, 20)
    logits = model.forward(x)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    inputs = np.concatenate([x, np.ones((20, 1))], axis=1)
    dense = sum(np.kron(np.outer(a, a), np.diag(b) - np.outer(b, b)) for a, b in zip(inputs, p, strict=True))
    for v in np.eye(model.w.size):
        # Labels and smoothing move the loss by a linear function: the Hessian does not see them.
        assert np.allclose(hessian_vector(model, x, labels, v, 0.3), dense @ v / 20, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
def test_symmetric_and_linear(name):
    model, x, labels, rng = point(name, 1)
    u, v = rng.normal(size=(2, model.w.size))
    hessian = Hessian(model, x, labels)
    hu, hv = hessian.product(u), hessian.product(v)
    assert u @ hv == pytest.approx(v @ hu, rel=1e-9)
    assert np.allclose(hessian.product(2 * u - v), 2 * hu - hv, atol=1e-10 * np.abs(hu).max())
    assert np.array_equal(hessian.product(u), hu)


@pytest.mark.parametrize("method", ["exact", "differences"])
@pytest.mark.parametrize("name", ["convnet", "resnet"])
def test_model_gradient_and_statistics_stay_as_they_are(name, method):
    model, x, labels, rng = point(name)
    model.g[...] = 7
    before = model.w.copy(), {key: value.copy() for key, value in model.buffers.items()}
    hessian_vector(model, x, labels, rng.normal(size=model.w.shape), method=method)
    assert np.array_equal(model.w, before[0])
    assert (model.g == 7).all()
    assert all(np.array_equal(value, before[1][key]) for key, value in model.buffers.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_runs_on_the_kernels_and_agrees(name):
    model, x, labels, rng = point(name)
    single = NETWORKS[name]()
    single = Model(single.net, 0, np.float32)
    single.w[...] = model.w
    v = rng.normal(size=model.w.shape)
    exact = hessian_vector(model, x, labels, v)
    found = hessian_vector(single, x.astype(np.float32), labels, v)
    assert found.dtype == np.float32
    assert np.linalg.norm(found - exact) < 1e-4 * np.linalg.norm(exact)


def test_a_quantizer_is_refused_with_advice():
    model = mlp((12, 7, 4))
    x = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    insert_input_quantizers(model, calibrated(model, x, 4))
    v = np.ones_like(model.w)
    with pytest.raises(ValueError, match=r"Linear that holds a quantizer; use method='differences'"):
        hessian_vector(model, x, np.zeros(6, int), v)
    assert np.isfinite(hessian_vector(model, x, np.zeros(6, int), v, method="differences")).all()


def test_bad_arguments_get_one_clear_error():
    model, x, labels, _ = point("mlp")
    with pytest.raises(ValueError, match=r"vector must have the shape of w, \(155,\); got \(3,\)"):
        hessian_vector(model, x, labels, np.ones(3))
    with pytest.raises(ValueError, match="method must be one of exact, differences"):
        hessian_vector(model, x, labels, np.ones(155), method="magic")
    with pytest.raises(ValueError, match="vector must be finite"):
        hessian_vector(model, x, labels, np.full(155, np.nan))
    assert (hessian_vector(model, x, labels, np.zeros(155), method="differences") == 0).all()
