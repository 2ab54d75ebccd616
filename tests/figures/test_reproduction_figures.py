"""The reproduced figures: they draw the numbers they are given, without warnings, and say so in words."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from psgd_ref.figures.course import toy_interactive
from psgd_ref.figures.paper import (
    clustering,
    fig1,
    fig3,
    fig4_cost,
    fig4_factors,
    fig4_spectrum,
    fig4_training,
    fig4_weights,
    landscape,
    landscape_random,
    landscape_ways,
)
from psgd_ref.figures.style import COLUMN

SEEDS = 3
rng = np.random.default_rng(0)


def over_seeds(*shape, low=0.5, high=2.0):
    return rng.uniform(low, high, (SEEDS, *shape)).tolist()


def histograms(*methods):
    names = ("fc1.weight", "fc2.weight")
    return {
        name: [
            {"name": layer, "bits": bits, "counts": rng.integers(0, 50, 21).tolist()}
            for layer, bits in zip(names, (8, 3), strict=True)
        ]
        for name in methods
    }


def fig1_data():
    levels = list(range(-3, 4))
    one = {"counts": [1, 5, 0, 9, 2, 4, 1], "edges": np.linspace(-3.5, 3.5, 8).tolist()}
    one |= {"levels": levels, "codes": [1, 5, 2, 9, 2, 4, 1]}
    names = ("SGD", "PSGD → W3", "PSGD → W2")
    own = {
        name: {key: over_seeds(5, low=0.01, high=0.5) for key in ("error", "relative", "squared")}
        for name in names
    }
    return {
        "seeds": [0, 1, 2],
        "widths": [0, 8, 4, 3, 2],
        "methods": own,
        "layer": "conv8",
        "bits": 3,
        "histograms": {"SGD": one, "PSGD → W3": one},
    }


def terms(*shape):
    keys = ("top", "top_warped", *(f"{term}_W{b}" for term in ("bend", "squared", "true") for b in (4, 3, 2)))
    signed = {f"slope_W{b}": over_seeds(*shape, low=-0.5, high=0.5) for b in (4, 3, 2)}
    return {key: over_seeds(*shape) for key in keys} | signed


def fig4_data():
    nodes = {f"spectrum{kind}_nodes": [-0.1, 0.0, 3.0] for kind in ("", "_warped")}
    nodes |= {f"spectrum{kind}_weights": [0.1, 0.8, 0.1] for kind in ("", "_warped")}
    followed = {
        name: {
            "options": {"lr": 0.1, "momentum": 0.0},
            "steps": [0, 10, 20],
            "rates": [0.1, 0.05, 0.0],
            "threshold": 2.0,
            "spectrum": nodes,
            **terms(3),
        }
        for name in ("SGD", "PSGD → W2")
    }
    return {
        "seeds": [0, 1, 2],
        "bits": 2,
        "widths": [4, 3, 2],
        "bins": 21,
        "weights": histograms("SGD", "PSGD → W2"),
        "perceptron": followed,
        "convnet": {name: terms() for name in ("SGD", "PSGD → W3", "PSGD → W2")},
    }


def landscape_data():
    side = np.linspace(-1, 1, 7)
    a, b = np.meshgrid(side, side)
    plane = {"a": side.tolist(), "b": side.tolist(), "losses": (0.1 + a**2 + b**2).tolist()}
    names = ("SGD", "SGD, rounded", "PSGD → W3", "PSGD → W3, rounded")
    places = {name: {"at": [0.1 * i, 0.0], "loss": 0.2, "distance": 0.1} for i, name in enumerate(names)}
    way = {"way": [-0.5, 0.0, 1.0, 1.5], "w": [0.3, 0.1, 0.7, 1.0], "y": [0.3, 0.1, 0.7, 1.0]}
    return {
        "seed": 0,
        "bits": 3,
        "common": {**plane, "places": places},
        "random": {"SGD": plane, "PSGD → W3": plane},
        "ways": {"SGD": way, "PSGD → W3": way},
    }


def clustering_data():
    names = ("PSGD", "warped", "mirror", "large batch", "no smoothing")
    line = {"batch_size": 50, "label_smoothing": 0.1, "steps": [0, 10, 20]}
    return {
        "seeds": [0, 1, 2],
        "epochs": 1,
        "bits": 3,
        "rate": 0.1,
        "lines": {
            name: {
                **line,
                **{key: over_seeds(3, low=0.02, high=0.2) for key in ("mean", "typical", "predicted")},
            }
            for name in names
        },
    }


CASES = {
    "fig1": (fig1, fig1_data),
    "fig3": (fig3, lambda: {"bins": 21, "seed": 0, "methods": histograms("SGD", "PSGD → W3")}),
    "fig4_weights": (fig4_weights, fig4_data),
    "fig4_training": (fig4_training, fig4_data),
    "fig4_cost": (fig4_cost, fig4_data),
    "fig4_factors": (fig4_factors, fig4_data),
    "fig4_spectrum": (fig4_spectrum, fig4_data),
    "landscape": (landscape, landscape_data),
    "landscape_random": (landscape_random, landscape_data),
    "landscape_ways": (landscape_ways, landscape_data),
    "clustering": (clustering, clustering_data),
}


@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_drawn_at_column_width_and_has_a_caption(name):
    """Warnings are errors here: missing glyphs and layouts that collapse would fail."""
    module, data = CASES[name]
    given = data()
    figure = module.draw(given)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == COLUMN
    text = module.caption(given)
    assert len(text) > 100
    assert "nan" not in text
    assert "{" not in text


def test_fig1_draws_the_means_over_seeds():
    data = fig1_data()
    figure = fig1.draw(data)
    squared, error = figure.axes[:2]
    heights = [bar.get_height() for bar in error.patches]
    means = [np.mean(method["error"], axis=0)[1:] for method in data["methods"].values()]
    assert heights == pytest.approx(np.concatenate(means).tolist())
    drawn = [container[0].get_ydata() for container in squared.containers]
    for line, method in zip(drawn, data["methods"].values(), strict=True):
        assert line == pytest.approx(np.mean(method["relative"], axis=0)[1:])


def test_the_cost_is_stacked_so_that_the_bars_end_at_the_sum():
    data = fig4_data()
    for method in data["convnet"].values():
        method["slope_W4"] = np.abs(method["slope_W4"]).tolist()
    figure = fig4_cost.draw(data)
    panel = figure.axes[3]
    for i, method in enumerate(data["convnet"].values()):
        bend, slope, true = panel.patches[3 * i : 3 * i + 3]
        assert bend.get_height() == pytest.approx(np.mean(method["bend_W4"]))
        top = slope.get_y() + slope.get_height()
        assert top == pytest.approx(np.mean(method["bend_W4"]) + np.mean(method["slope_W4"]))
        assert true.get_height() == pytest.approx(np.mean(method["true_W4"]))


def test_the_limits_of_stability_are_two_over_the_rate():
    figure = fig4_training.draw(fig4_data())
    top = figure.axes[0]
    limits = [line for line in top.lines if list(line.get_xdata()) == [0, 10]]
    assert len(limits) == 2
    for line in limits:
        assert line.get_ydata() == pytest.approx([20, 40])


def test_ratios_are_taken_seed_by_seed_at_the_bits_of_the_targets():
    data = fig4_data()
    found = fig4_factors.ratios(data)["convnet, 3 bits"]
    own = data["convnet"]
    expected = np.array(own["PSGD → W3"]["true_W3"]) / np.array(own["SGD"]["true_W3"])
    assert found["true"] == pytest.approx(expected)
    assert set(fig4_factors.ratios(data)) == {"perceptron, 2 bits", "convnet, 3 bits", "convnet, 2 bits"}


def test_the_landscape_shows_the_losses_it_is_given():
    data = landscape_data()
    figure = landscape.draw(data)
    mesh = figure.axes[0].collections[0]
    assert np.asarray(mesh.get_array()) == pytest.approx(np.array(data["common"]["losses"]))


def test_methods_differ_without_colour():
    """In grey: every pair of lines of one panel differs by dash or marker."""
    for looks in (fig1.LOOKS, fig4_training.LOOKS, clustering.LOOKS):
        assert len({(str(look["linestyle"]), look["marker"]) for look in looks.values()}) == len(looks)
        assert all(to_hex(look["color"]) for look in looks.values())


def test_the_toy_of_the_notebook_draws_extremes_without_warnings():
    for options in ({}, {"eps": 1e-4, "strength": 12, "gap": 0.2, "lr": 0.1, "noise": 4}, {"noise": 0}):
        figure = toy_interactive.draw(**options)
        figure.draw_without_rendering()


def test_the_toy_has_sliders_or_else_a_picture(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    figure = toy_interactive.sliders()
    assert len(figure.axes) == 3
