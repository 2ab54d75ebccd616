"""Configurations: defaults that suit the data, TOML there and back, refusals by name."""

import dataclasses
from pathlib import Path

import pytest

from psgd_ref.data import NAMES, load_digits
from psgd_ref.training import PARQ, ProxQuant, QuadraticPull
from psgd_ref.training.runs.build import build_model, model_of, phases
from psgd_ref.training.runs.configuration import Configuration, configuration, read_toml, refuse_other


def test_every_option_explains_itself():
    for option in dataclasses.fields(Configuration):
        assert option.metadata["help"]


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_has_a_usual_model(name):
    chosen = Configuration(data=name)
    assert chosen.model
    assert chosen.augment
    assert Configuration(data=name, model="mlp").model == "mlp"


def test_toml_there_and_back(tmp_path):
    chosen = Configuration(
        data="moons",
        strength=3,
        milestones=(2, 5),
        schedule="piecewise",
        refresh="ema",
        weight_decay=1e-5,
        cap=True,
    )
    (tmp_path / "x.toml").write_text(chosen.as_toml())
    assert configuration(read_toml(tmp_path / "x.toml")) == chosen
    (tmp_path / "y.toml").write_text("lr = ")
    with pytest.raises(ValueError, match=r"y\.toml is not a TOML file"):
        read_toml(tmp_path / "y.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 1}, "unknown option learning_rate; accepted are data, model"),
        ({"data": "imagenet"}, "data set must be one of digits"),
        ({"data": ["digits"]}, "data set must be one of"),
        ({"optimizer": "lion"}, "optimizer must be one of psgd, sgd, adam"),
        ({"bits": 1}, r"bits must be a whole number in 2\.\.16; got 1"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"lr": -1}, "lr must be a finite number >= 0"),
        ({"lr": "fast"}, "lr"),
        ({"milestones": 3}, "milestones must be a list"),
        ({"milestones": [0]}, "milestone must be"),
        ({"model": 7}, "model must be a text"),
        ({"augment": "mirror"}, "augment must be one of none"),
        ({"strength": [1]}, "strength"),
        ({"cap": 1}, "cap must be false or true; got 1"),
        ({"grid": "adaptivfloat", "refresh": "ema"}, "is for one Δ"),
    ],
)
def test_values_that_are_not_accepted(values, message):
    with pytest.raises(ValueError, match=message):
        configuration(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": "strong"}, "strength"),
        ({"refresh": 0}, "refresh"),
        ({"momentum": 1.0}, "momentum"),
        ({"schedule": "piecewise", "milestones": [3, 2]}, "increase"),
    ],
)
def test_what_an_optimizer_does_not_accept(values, message):
    with pytest.raises(ValueError, match=message):
        phases(configuration(values), 10)


@pytest.mark.parametrize("name", ["lenet", "resnet", "resnet21", "vgg12", "mlp2"])
def test_unknown_models_are_refused(name):
    with pytest.raises(ValueError, match=r"model must be|depth must be"):
        build_model(name, (32, 32, 3), 10)


def test_the_model_takes_the_images():
    data = load_digits()
    for name in ("mlp", "convnet", "resnet8"):
        model = model_of(Configuration(data="digits", model=name), data)
        assert model.forward(data.normalise(data.test.images[:2])).shape == (2, 10)


def test_phases_share_one_schedule():
    chosen = Configuration(epochs=6, psgd_from=4, schedule="piecewise", milestones=(2, 4), lr=1)
    plain, scaled = phases(chosen, steps=10)
    assert [(p.first, p.last, p.name) for p in (plain, scaled)] == [(1, 3, "sgd"), (4, 6, "psgd")]
    for phase in (plain, scaled):
        rates = [phase.optimizer.lr(step) for step in (0, 19, 20, 39, 40, 59)]
        assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert plain.optimizer.position is None
    assert scaled.optimizer.position is not None
    assert [p.name for p in phases(Configuration(psgd_from=99), 10)] == ["sgd"]


def test_another_configuration_is_refused_by_name():
    one, two = Configuration(lr=0.1), Configuration(lr=0.2, seed=3)
    refuse_other(one.as_dict(), one.as_dict(), Path("x"))
    with pytest.raises(
        ValueError, match=r"x belongs to another .*lr = 0.1 \(given: 0.2\), seed = 0 \(given: 3\)$"
    ):
        refuse_other(two.as_dict(), one.as_dict(), Path("x"))


def test_the_cap_reaches_the_optimizer():
    (capped,), (free,) = (phases(Configuration(data="moons", cap=cap), 1) for cap in (True, False))
    assert (capped.optimizer.position.cap, free.optimizer.position.cap) == (True, False)


def test_methods_that_pull_to_the_grid():
    """Each optimiser of the command line is made with its options, ramps over their part of the steps."""
    psgd = phases(Configuration(weight_decay=0.1, decay_target="grid", gradient_at=1.0, epochs=10), 10)[0]
    kappa = psgd.optimizer.chain[1].weight_decay
    assert [kappa(step) for step in (0, 40, 80, 99)] == pytest.approx([0, 0.05, 0.1, 0.1])
    assert [psgd.optimizer.gradient_at(step) for step in (0, 80)] == [0, 1]
    at_once = phases(Configuration(weight_decay=0.1, decay_target="grid", ramp=0.0), 10)[0]
    assert at_once.optimizer.chain[1].weight_decay == 0.1
    names = {"quadratic-pull": QuadraticPull, "proxquant": ProxQuant, "parq": PARQ}
    for name, kind in names.items():
        (phase,) = phases(Configuration(optimizer=name, bits=2, grid="mse", refresh="learned"), 10)
        assert isinstance(phase.optimizer, kind)
        assert phase.name == name
    with pytest.raises(ValueError, match="ramp must lie in"):
        Configuration(ramp=1.5)
    with pytest.raises(ValueError, match="decay_target must be one of zero, grid"):
        Configuration(decay_target="up")
    with pytest.raises(ValueError, match="refresh 'learned' is for one Δ"):
        Configuration(refresh="learned", grid="adaptivfloat")


def test_the_pull_may_begin_where_the_gradient_has_arrived():
    """Over 10 steps: the gradient moves to the grid in the first 4, the pull grows from there to step 8."""
    given = {"decay_target": "grid", "weight_decay": 0.2, "gradient_at": 1.0, "epochs": 1}
    psgd = phases(Configuration(**given, pull_from=0.4), 10)[0].optimizer
    assert "weight_decay=ramp(0.2, 4, after=4)" in repr(psgd)
    assert "gradient_at=ramp(1.0, 4)" in repr(psgd)
    quadratic = phases(Configuration(optimizer="quadratic-pull", pull=0.3, pull_from=0.5, epochs=1), 10)[0]
    assert "ramp(0.3, 3, after=5)" in repr(quadratic.optimizer)
    with pytest.raises(ValueError, match=r"pull_from must be at most ramp, 0\.8; got 0\.9"):
        Configuration(pull_from=0.9)
