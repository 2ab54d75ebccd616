"""Optimisers that make weights zero: the proximal L1 step, and PSGD towards zero with unscaled decay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress.pruning.prune import weight_segments
from psgd_ref.core import Zero
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, SGD, ProximalL1


def at_rest(optimizer, c, h, steps, start=None):
    """Where the weights of a layer rest on the loss ½h(w − c)², begun on the side of c by default."""
    model = mlp((c.size, 1), dtype=np.float64)
    part = model.segment("fc1.weight")
    model.w[...] = 0
    model.w[part.span] = np.copysign(0.5, c) if start is None else start
    state = optimizer.init(model)
    for _ in range(steps):
        model.g[...] = 0
        model.g[part.span] = h * (model.w[part.span] - c)
        optimizer.update(model, state)
    return model.w[part.span]


@settings(max_examples=10)
@given(h=st.floats(0.7, 2), penalty=st.floats(0.01, 1), momentum=st.sampled_from([0.0, 0.5]))
def test_the_proximal_step_rests_at_the_soft_threshold(h, penalty, momentum):
    c = np.linspace(-2, 2, 23)
    found = at_rest(ProximalL1(0.4, momentum, 0, penalty), c, h, 150)
    assert np.allclose(found, np.sign(c) * np.maximum(np.abs(c) - penalty / h, 0), atol=1e-7)
    assert not found[np.abs(c) < penalty / h * 0.999].any()


def test_psgd_towards_zero_with_unscaled_decay_rests_there_too():
    """Claim E4 through the optimiser: decay κ outside the scale of strength λ is LASSO of strength κ/λ."""
    c, h, weight_decay, strength = np.array([0.8, -0.6, 0.3, -0.1, 1.5]), 1.0, 0.5, 2.5
    lasso = at_rest(ProximalL1(0.2, 0, 0, weight_decay / strength), c, h, 200)
    psgd = at_rest(PSGD(0.1, 0.5, weight_decay, Zero(), strength=strength), c, h, 3000)
    assert np.allclose(lasso, np.sign(c) * np.maximum(np.abs(c) - 0.2, 0), atol=1e-12)
    assert np.allclose(psgd, lasso, atol=1e-4)


def test_eps_lets_a_weight_cross_zero_and_without_it_none_crosses():
    c = np.array([-1.0])
    stuck = at_rest(PSGD(0.1, 0, 0, Zero(), strength=1.0), c, 1.0, 400, start=0.5)
    free = at_rest(PSGD(0.1, 0, 0, Zero(), strength=1.0, eps=0.1), c, 1.0, 400, start=0.5)
    assert 0 <= stuck[0] < 1e-6
    assert free == pytest.approx(-1, abs=1e-3)


def test_zero_is_a_target_of_weights_alone():
    """A bias that starts at 0 would otherwise never move; nothing prunes it either."""
    model = mlp((4, 3, 2), dtype=np.float64)
    model.g[...] = 1
    optimizer = PSGD(0.1, 0, 0, Zero(), strength=2.0)
    before = model.w.copy()
    optimizer.update(model, optimizer.init(model))
    weights = np.zeros(model.w.size, bool)
    for part in weight_segments(model):
        weights[part.span] = True
    assert np.allclose(model.w, before - 0.1 * np.where(weights, 2 * np.abs(before), 1))


def test_without_a_penalty_the_proximal_step_is_sgd():
    one, two = convnet(), convnet()
    for model, optimizer in ((one, ProximalL1(0.1, penalty=0)), (two, SGD(0.1))):
        model.g[...] = 1
        optimizer.update(model, optimizer.init(model))
    assert np.array_equal(one.w, two.w)
    with pytest.raises(ValueError, match="penalty"):
        ProximalL1(penalty=-1)
