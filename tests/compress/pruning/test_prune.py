"""Pruning by magnitude: exact counts, ties, masks that survive everything, reports."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psgd_ref.compress import (
    AdaptivFloatGrid,
    MinMaxGrid,
    MSEGrid,
    WideZeroGrid,
    dfq,
    fold_batch_norms,
    prune,
    quantize,
    sparsity,
    sparsity_report,
)
from psgd_ref.compress.pruning.prune import keep_largest, weight_indices, weight_segments
from psgd_ref.compress.pruning.sparsity import layer_sparsities
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, SGD, Adam, ProximalL1

SHARES = st.floats(0, 1)
# Few different magnitudes, so that most weights have an equal.
TIED = st.lists(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]), min_size=32, max_size=32)


def with_weights(values):
    model = mlp((4, 3, 5, 1), dtype=np.float64)
    places = np.concatenate(weight_indices(model))
    model.w[places] = values
    return model, places


@given(values=TIED, share=SHARES)
def test_the_count_is_exact_and_of_equal_weights_the_first_stay(values, share):
    model, places = with_weights(values)
    kept = prune(model, share).mask[places]
    order = sorted(range(32), key=lambda i: (-abs(values[i]), i))
    assert set(np.flatnonzero(kept)) == set(order[: round(32 * (1 - share))])


@given(values=TIED, share=SHARES)
def test_by_layer_every_layer_has_its_own_count(values, share):
    model, _ = with_weights(values)
    pruned = prune(model, share, "layer")
    for part in weight_segments(model):
        magnitudes, kept = np.abs(model.w[part.span]), pruned.mask[part.span]
        assert kept.sum() == round(magnitudes.size * (1 - share))
        assert magnitudes[kept].min(initial=np.inf) >= magnitudes[~kept].max(initial=0)


def test_only_weights_are_pruned_and_the_given_model_stays():
    model = convnet(seed=1)
    before = model.w.copy()
    pruned = prune(model, 0.9)
    assert np.array_equal(model.w, before)
    assert model.mask is None
    others = [part.span for part in model.segments if part.role != "weight"]
    assert all(pruned.mask[span].all() for span in others)
    assert np.array_equal(pruned.w, np.where(pruned.mask, before, 0))


def test_pruning_again_only_takes_more():
    once = prune(convnet(), 0.5)
    assert np.array_equal(prune(once, 0.3).mask, once.mask)
    more = prune(once, 0.8)
    assert (more.mask <= once.mask).all()
    assert np.array_equal(more.mask, prune(convnet(), 0.8).mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1, 0.9, 0.01),
        lambda: PSGD(0.1, 0.9, 0.01, MinMaxGrid(3)),
        lambda: PSGD(0.1, 0.9, 0.01, MSEGrid(3), eps=0.1, discretization="warp"),
        lambda: PSGD(0.1, 0.9, 0.01, WideZeroGrid(3)),
        lambda: Adam(0.1, weight_decay=0.1),
        lambda: ProximalL1(0.1),
    ],
    ids=["sgd", "psgd", "warp", "wide zero", "adam", "l1"],
)
def test_no_step_moves_a_pruned_weight_even_with_momentum_from_before(make):
    model, optimizer = convnet(widths=(3, 4)), make()
    rng = np.random.default_rng(0)
    state = optimizer.init(model)
    model.g[...] = rng.normal(size=model.w.size)
    optimizer.update(model, state)
    pruned = prune(model, 0.6)
    before = pruned.w.copy()
    for _ in range(3):
        pruned.loss_and_grad(rng.normal(size=(4, 6, 6, 1)).astype(np.float32), rng.integers(0, 10, 4))
        assert not pruned.g[~pruned.mask].any()
        pruned.g += 1  # what a penalty may do
        optimizer.update(pruned, state)
        assert not pruned.w[~pruned.mask].any()
    assert (pruned.w != before)[pruned.mask].mean() > 0.5


def test_training_a_pruned_model_is_training_the_smaller_network():
    """A hidden unit whose weights are all pruned might as well not be there."""
    small, large = mlp((3, 2, 4), dtype=np.float64), mlp((3, 3, 4), dtype=np.float64, seed=1)
    for name in ("fc1.weight", "fc2.weight"):
        part, whole = large.segment(name).view(large.w), small.segment(name).view(small.w)
        part[:, :2] = whole if name == "fc1.weight" else part[:, :2]
        if name == "fc2.weight":
            part[:2] = whole
    mask = np.ones(large.w.size, bool)
    large.segment("fc1.weight").view(mask)[:, 2] = False
    large.segment("fc2.weight").view(mask)[2] = False
    large.set_mask(mask)
    rng, states, optimizer = np.random.default_rng(2), {}, SGD(0.3, 0.9, 0.01)
    for name, model in (("small", small), ("large", large)):
        states[name] = optimizer.init(model)
    x, y = rng.normal(size=(8, 3)), rng.integers(0, 4, 8)
    for _ in range(5):
        for name, model in (("small", small), ("large", large)):
            model.loss_and_grad(x, y)
            optimizer.update(model, states[name])
    assert np.allclose(small.forward(x), large.forward(x), rtol=1e-12, atol=1e-12)


def test_copies_and_pickles_keep_the_mask_for_themselves():
    model = prune(convnet(), 0.5)
    for copied in (model.copy(), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(copied.mask, model.mask)
        copied.set_mask(None)
    assert model.mask is not None


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("grid", [MinMaxGrid, MSEGrid, AdaptivFloatGrid, WideZeroGrid])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantization_keeps_the_zeros_and_the_mask(bits, grid, per_channel):
    model = prune(convnet(seed=3), 0.7)
    rounded = quantize(model, bits, grid, per_channel)
    assert np.array_equal(rounded.mask, model.mask)
    assert not rounded.w[~model.mask].any()
    for name, tensor in rounded.quantized.items():
        assert not tensor.values[~model.segment(name).view(model.mask)].any()


def test_folding_and_dfq_keep_zeros_and_mask():
    model = prune(convnet(seed=3), 0.7)
    for other in (fold_batch_norms(model), dfq(model, 4)):
        assert sum(layer.pruned for layer in layer_sparsities(other)[:-1]) == (~model.mask).sum()
        assert not other.w[~other.mask].any()


def test_a_report_counts_what_is_zero():
    model = prune(convnet(), 0.75, "layer")
    model.segment("conv2.weight").view(model.w)[0] = 0
    *layers, total = layer_sparsities(model)
    for layer in layers:
        assert layer.pruned == layer.weights - round(layer.weights / 4)
        assert layer.zeros == (model.segment(layer.name).view(model.w) == 0).sum()
    assert layers[1].zeros > layers[1].pruned
    assert total.zeros == sum(layer.zeros for layer in layers)
    assert sparsity(model) == total.zeros / total.weights
    text = sparsity_report(model)
    assert text.splitlines()[-1].startswith(f"| all | {total.weights:,} |")
    assert len(text.splitlines()) == 3 + len(layers)


def test_a_loaded_model_is_held_at_its_zeros():
    model = prune(convnet(), 0.9)
    mask = model.mask
    model.set_mask(None)
    assert np.array_equal(prune(model, sparsity(model)).mask, mask)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: prune(model, 1.1), "sparsity"),
        (lambda model: prune(model, -0.1), "sparsity"),
        (lambda model: prune(model, 0.5, "row"), "scope"),
        (lambda model: keep_largest(model, np.ones(3), 0.5), "scores"),
        (lambda model: keep_largest(model, np.full_like(model.w, np.nan), 0.5), "scores"),
        (lambda model: model.set_mask(np.ones(3, bool)), "mask"),
        (lambda model: model.set_mask(np.ones(model.w.size)), "mask"),
        (lambda model: quantize(prune(model, 0.5), 4, correction="mean"), "correction"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(mlp())
