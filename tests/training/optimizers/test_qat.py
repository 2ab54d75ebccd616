"""Transforms for some roles, QAT's optimiser, and PSGD together with quantizers."""

import numpy as np
import pytest

from psgd_ref.compress import LSQ, BayesianBits, MinMaxGrid, insert_fake_quantizers
from psgd_ref.core import position_scale
from psgd_ref.models import mlp
from psgd_ref.training import QAT, SGD
from psgd_ref.training.optimizers.qat import Multiply, Only


def prepared(kind=LSQ, bits=4):
    model = mlp((64, 8, 10), seed=0, dtype=np.float64)
    insert_fake_quantizers(model, kind, bits)
    model.g[...] = np.random.default_rng(0).standard_normal(model.g.size)
    return model


def test_only_the_named_roles_are_touched():
    model = prepared()
    u = Only(("quantizer",), Multiply(3.0)).update(model.g, model, {})
    for segment in model.segments:
        factor = 3 if segment.role == "quantizer" else 1
        assert np.allclose(u[segment.span], factor * model.g[segment.span])


def test_decay_spares_quantizers():
    plain, aware = prepared(), prepared()
    for model, optimizer in ((plain, SGD(0.1, 0.9, 0.1)), (aware, QAT(0.1, 0.9, 0.1))):
        state = optimizer.init(model)
        for _ in range(3):
            optimizer.update(model, state)
    for segment in plain.segments:
        same = np.allclose(plain.w[segment.span], aware.w[segment.span])
        assert same == (segment.role != "quantizer")


def test_gates_move_by_adam_whatever_the_size_of_their_gradient():
    model = prepared(BayesianBits, 8)
    before = model.w.copy()
    optimizer = QAT(0.1, 0.9, 0.1, gates=0.5)
    optimizer.update(model, optimizer.init(model))
    for segment in model.segments:
        if segment.role == "gate":
            assert np.allclose(np.abs(model.w - before)[segment.span], 0.05)
        elif segment.role == "quantizer":
            assert np.allclose((model.w - before)[segment.span], -0.1 * model.g[segment.span])


def test_psgd_scales_latent_weights_alone():
    model = prepared()
    before = model.w.copy()
    optimizer = QAT(0.1, 0.0, 0.0, grid=MinMaxGrid(4))
    optimizer.update(model, optimizer.init(model))
    for segment in model.segments:
        w, moved = before[segment.span], (before - model.w)[segment.span]
        quantized = segment.role == "weight"
        scale = position_scale(w, MinMaxGrid(4).fit(w), 0.0, "volume") if quantized else 1.0
        assert np.allclose(moved, 0.1 * scale * model.g[segment.span])


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="gates"):
        QAT(gates=-1.0)
