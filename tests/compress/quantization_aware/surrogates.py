"""Difference quotients of what a quantizer's backward pass stands for."""

import numpy as np

from psgd_ref.nn import Model, Sequential


def alone(quantizer, values=None):
    """A model in float64 that is the quantizer alone, with some of its parameters set."""
    model = Model(Sequential({"q": quantizer}), dtype=np.float64)
    for name, value in (values or {}).items():
        model.segment(f"q.{name}").view(model.w)[...] = value
    return model


def check_backward(quantizer, surrogate, x, values=None, rtol=1e-5):
    """The backward pass equals central differences of Σ dy · surrogate(x, parameters).

    surrogate : (x, parameters by name) → y, smooth near x and the parameters as they are
    """
    model = alone(quantizer, values)
    rng = np.random.default_rng(0)
    y, cache = quantizer.forward(x, True)
    dy = rng.standard_normal(y.shape)
    dx = quantizer.backward(dy, cache)
    parameters = {name: p.value.copy() for name, p in quantizer.parameters().items()}

    def value(x, parameters):
        return float((dy * surrogate(x, parameters)).sum())

    h = 1e-6
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        expected = (value(up, parameters) - value(down, parameters)) / (2 * h)
        assert np.isclose(dx[index], expected, rtol=rtol, atol=1e-7), (index, x[index])
    for segment in model.segments:
        name = segment.name.removeprefix("q.")
        got = segment.view(model.g)
        for index in np.ndindex(segment.shape):
            ends = []
            for side in (1, -1):
                moved = {key: array.copy() for key, array in parameters.items()}
                moved[name][index] += side * h
                ends.append(value(x, moved))
            expected = (ends[0] - ends[1]) / (2 * h) * scale(quantizer, name, x)
            assert np.isclose(got[index], expected, rtol=rtol, atol=1e-7), (name, index)


def scale(quantizer, name, x):
    """What the method multiplies a parameter's gradient by: 1/√(N · largest code); gates by 1."""
    if name in ("gates", "prune"):
        return 1.0
    largest = getattr(quantizer, "cells", None) or getattr(quantizer, "high", None)
    if largest is None:
        largest = 2 ** (quantizer.bits - 1)
    batched = getattr(quantizer, "batched", getattr(quantizer, "channels", 1) == 0)
    count = x.size // len(x) if batched else x.size
    return 1 / np.sqrt(count * largest)
