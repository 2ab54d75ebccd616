"""Every grid: the laws of rounding to its levels, degenerate tensors, and PSGD towards it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import (
    ACIQGrid,
    AdaptivFloatGrid,
    ClipGrid,
    MinMaxGrid,
    MSEGrid,
    PNormGrid,
    quantize_tensor,
)
from psgd_ref.core import FiniteTargets, UniformGrid, Warp
from psgd_ref.models import convnet
from psgd_ref.training import PSGD
from tests.compress.tensors import weights

settings.register_profile("grids", deadline=None, derandomize=True, max_examples=40)
PROFILE = settings.get_profile("grids")

RULES = {
    "min-max": MinMaxGrid,
    "mse": MSEGrid,
    "p-norm": lambda bits, per_channel=False: PNormGrid(bits, per_channel, p=3.0),
    "aciq": ACIQGrid,
    "aciq gauss": lambda bits, per_channel=False: ACIQGrid(bits, per_channel, law="gauss"),
    "adaptivfloat": AdaptivFloatGrid,
    "clip": lambda bits, per_channel=False: ClipGrid(bits, per_channel, clip=0.5),
}
bits = st.integers(2, 9)


def level_values(targets):
    """Every target of a finite set, in rising order."""
    if isinstance(targets, FiniteTargets):
        return targets.values
    return np.arange(-targets.levels, targets.levels + 1) * targets.step


@pytest.mark.parametrize("rule", RULES)
@settings(PROFILE)
@given(w=weights, bits=bits)
def test_laws_of_rounding(rule, w, bits):
    targets = RULES[rule](bits).fit(w)
    levels, q = level_values(targets), targets.nearest(w)
    assert len(levels) <= 2**bits - 1
    assert np.array_equal(levels, -levels[::-1])
    assert np.array_equal(targets.nearest(q), q)
    assert np.array_equal(targets.nearest(-w), -q)
    order = np.argsort(w.ravel())
    assert (np.diff(q.ravel()[order]) >= 0).all()
    unit = np.finfo(w.dtype).eps
    best = np.abs(w.astype(float)[..., None] - levels).min(axis=-1)
    assert (np.abs(w.astype(float) - q) <= best + 4 * unit * (np.abs(w) + np.abs(levels).max())).all()


@pytest.mark.parametrize("rule", RULES)
def test_ties_go_to_the_even_place(rule):
    targets = RULES[rule](4).fit(np.random.default_rng(0).normal(size=300))
    levels = level_values(targets)
    zero = len(levels) // 2
    middle = (levels[1:] + levels[:-1]) / 2
    q = targets.nearest(middle)
    # A tie is one where it is decided: between the levels, or in the quotient of a uniform grid.
    exact = middle - levels[:-1] == levels[1:] - middle
    if isinstance(targets, UniformGrid):
        exact &= middle / targets.step % 1 == 0.5
    places = np.searchsorted(levels, q) - zero
    assert exact.any()
    assert (places[exact] % 2 == 0).all()


@pytest.mark.parametrize("rule", RULES)
@settings(PROFILE)
@given(w=weights, bits=bits, per_channel=st.booleans())
def test_integers_multiply_out(rule, w, bits, per_channel):
    grid = RULES[rule](bits, per_channel)
    tensor = quantize_tensor(w, grid)
    split = per_channel and w.ndim > 1
    assert tensor.codes.dtype == (np.int8 if bits <= 8 else np.int16)
    assert np.abs(tensor.codes.astype(int)).max() <= 2 ** (bits - 1) - 1
    assert tensor.zero_point == 0
    assert tensor.values.dtype == w.dtype
    parts = [w[..., c] for c in range(w.shape[-1])] if split else [w]
    values = [tensor.values[..., c] for c in range(w.shape[-1])] if split else [tensor.values]
    for part, got in zip(parts, values, strict=True):
        assert np.array_equal(got, grid.fit(part).nearest(part).astype(w.dtype))
    if tensor.levels is None:
        assert tensor.scale.shape == ((w.shape[-1],) if split else ())
        assert np.array_equal(tensor.values, tensor.codes.astype(w.dtype) * tensor.scale)
    elif not split:
        assert np.array_equal(tensor.values, tensor.levels[tensor.codes.astype(int) - tensor.lowest])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("w", [np.zeros(5), np.full(3, 1e-40, np.float32), np.array([[3.0]]), np.zeros(0)])
def test_degenerate_tensors_stay_finite(rule, w):
    targets = RULES[rule](4).fit(w)
    assert np.isfinite(targets.nearest(w)).all()
    assert np.isfinite(np.float32(8 / targets.mean_gap()))
    assert targets.mean_gap() > 0


@pytest.mark.parametrize("rule", RULES)
def test_psgd_trains_towards_it_by_name(rule):
    model = convnet(widths=(4, 4), seed=1)
    grid = RULES[rule](4)
    rng = np.random.default_rng(0)
    model.g[...] = rng.normal(size=model.w.size)
    before, part = model.w.copy(), model.segment("conv2.weight")
    optimizer = PSGD(0.01, momentum=0, weight_decay=0, grid=grid)
    optimizer.update(model, optimizer.init(model))
    w = part.view(before)
    scale = Warp(grid.fit(w), strength="volume").scale(w)
    assert np.allclose(part.view(model.w), w - 0.01 * scale * part.view(model.g), rtol=1e-4, atol=1e-6)
    assert not np.allclose(part.view(model.w), w)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PNormGrid(4, p=0.0), "p must be a finite number > 0; got 0.0"),
        (lambda: ClipGrid(4, clip=-1.0), "clip must be a finite number >= 0"),
        (lambda: ACIQGrid(4, law="cauchy"), "law must be one of laplace, gauss; got 'cauchy'"),
        (lambda: AdaptivFloatGrid(4, exponent_bits=4), r"exponent_bits must be a whole number in 1\.\.3"),
        (lambda: AdaptivFloatGrid(1), r"bits must be a whole number in 2\.\.16; got 1"),
        (lambda: AdaptivFloatGrid(2, variant="released"), "at least 3 bits"),
        (lambda: AdaptivFloatGrid(4).fit([np.nan]), "must be finite"),
        (lambda: quantize_tensor(np.ones((2, 3)), [MinMaxGrid(4)] * 2), "one for each of 3 channels; got 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
