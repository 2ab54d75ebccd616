"""Grids and quantization: laws of rounding, the best clip by brute force, integers that multiply out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import (
    LSQ,
    MinMaxGrid,
    MSEGrid,
    insert_fake_quantizers,
    quantize,
    relative_error,
    remove_parametrizations,
)
from psgd_ref.compress.post_training.report import layer_reports
from psgd_ref.compress.quantization_aware.fake_quantizer import remove_fake_quantizers
from psgd_ref.models import convnet, mlp

settings.register_profile("compress", deadline=None, derandomize=True, max_examples=60)
PROFILE = settings.get_profile("compress")


@settings(PROFILE, max_examples=15)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_mse_grid_is_as_good_as_a_brute_force_scan(bits, seed):
    rng = np.random.default_rng(seed)
    w = rng.standard_t(3, size=200)
    levels = 2 ** (bits - 1) - 1

    def error(step):
        return ((w - step * np.clip(np.rint(w / step), -levels, levels)) ** 2).sum()

    brute = min(error(clip / levels) for clip in np.abs(w).max() * np.arange(1, 2001) / 2000)
    assert error(MSEGrid(bits).fit(w).step) <= brute * 1.02
    assert error(MSEGrid(bits).fit(w).step) <= error(MinMaxGrid(bits).fit(w).step)


def test_relative_error_of_uniform_weights_is_one():
    model = mlp((8, 300, 300, 8))
    rng = np.random.default_rng(0)
    model.w[...] = rng.uniform(-1, 1, model.w.size)
    assert relative_error(model, quantize(model, 6)) == pytest.approx(1, rel=0.02)


def test_a_model_that_learned_its_grid_is_rounded_from_what_that_gives():
    model = mlp((8, 6, 6, 3))
    insert_fake_quantizers(model, LSQ, 2)
    plain = remove_parametrizations(model)
    rounded = quantize(model, 3)
    assert [part.name for part in rounded.segments] == [part.name for part in plain.segments]
    assert np.array_equal(rounded.w, quantize(plain, 3).w)
    assert relative_error(model, rounded) == relative_error(plain, rounded)
    assert layer_reports(model, rounded) == layer_reports(plain, rounded)
    # Rounding the weights behind the learned grid instead would give others.
    latent = model.copy()
    remove_fake_quantizers(latent)
    assert not np.array_equal(rounded.w, quantize(latent, 3).w)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MinMaxGrid(1), r"bits must be a whole number in 2\.\.16; got 1"),
        (lambda: MSEGrid(17), r"2\.\.16"),
        (lambda: quantize(convnet(), bits=4.0), r"got 4\.0"),
        (lambda: MinMaxGrid(4).fit([1.0, np.nan]), "1 of 2 entries are NaN"),
        (lambda: MSEGrid(4).fit([np.inf]), "must be finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
