"""Training: it learns, repeats bit for bit, and says what went wrong when it diverges."""

import dataclasses

import numpy as np
import pytest

from psgd_ref.compress import (
    MinMaxGrid,
    MSEGrid,
    calibrated,
    insert_input_quantizers,
    quantize,
    reestimate_batch_norm,
)
from psgd_ref.compress.post_training.activations import RULES
from psgd_ref.data import Shift, load_digits
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, SGD, CrossEntropy, DivergenceError, accuracy, evaluate, fit
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress

DATA = load_digits()


def trained(optimizer, epochs=2, seed=0, **options):
    model = convnet(widths=(4, 8), seed=seed)
    history = fit(
        model,
        optimizer,
        DATA,
        epochs=epochs,
        batch_size=50,
        seed=seed,
        label_smoothing=0.1,
        augment=Shift(1),
        **options,
    )
    return model, history


@pytest.mark.parametrize("optimizer", [SGD(0.1), PSGD(0.1, grid=MinMaxGrid(3))])
def test_training_repeats_bit_for_bit(optimizer):
    (one, first), (two, second) = trained(optimizer), trained(optimizer)
    assert np.array_equal(one.w, two.w)
    assert all(np.array_equal(one.buffers[name], two.buffers[name]) for name in one.buffers)
    assert first == second
    assert not np.array_equal(one.w, trained(optimizer, seed=1)[0].w)


def test_copying_the_model_in_the_middle_changes_nothing():
    plain, copied = mlp(seed=0), mlp(seed=0)
    optimizer = SGD(0.1)
    for model in (plain, copied):
        progress = Progress.of(model, optimizer.init(model), 0)
        for _ in train_epochs(model, optimizer, DATA, progress, 2):
            if model is copied:
                model.copy()
    assert np.array_equal(plain.w, copied.w)


def test_training_learns():
    _, history = trained(PSGD(0.3, grid=MinMaxGrid(3)), epochs=5)
    assert history[-1].loss < history[0].loss
    assert history[-1].validation_accuracy > 0.5
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5]
    assert all(epoch.rate > 0 for epoch in history)


def test_without_report_the_weights_are_the_same_and_no_epoch_is_measured():
    reported, _ = trained(PSGD(0.3, grid=MinMaxGrid(3)))
    silent, history = trained(PSGD(0.3, grid=MinMaxGrid(3)), report=False)
    assert np.array_equal(reported.w, silent.w)
    assert history == []


def test_divergence_names_step_layer_and_rate():
    with pytest.raises(DivergenceError, match=r"step \d+: .*fc\d\.(weight|bias).*η·mean\(s\) = .*lower lr"):
        fit(mlp(), PSGD(1e6, grid=MinMaxGrid(2)), DATA, epochs=1)


def test_accuracy_counts():
    model = mlp((2, 2), seed=0)
    model.w[...] = [1, 0, 0, 1, 0, 0]
    images = np.array([[3, 1], [1, 3], [3, 1]], np.float32)
    assert accuracy(model, images, np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_evaluate_reports_each_width_and_leaves_the_model_alone():
    model, _ = trained(SGD(0.1))
    w, buffers = model.w.copy(), {name: value.copy() for name, value in model.buffers.items()}
    results = evaluate(model, DATA, [8, 2], split="validation", grid=MSEGrid, reestimate=True)
    assert list(results) == ["full", "W8", "W2"]
    assert results["W8"] > results["W2"]
    assert np.array_equal(model.w, w)
    assert all(np.array_equal(model.buffers[name], buffers[name]) for name in buffers)


def test_batch_norms_are_reestimated_on_images_changed_as_in_training():
    model, _ = trained(SGD(0.1))
    assert model.augment == Shift(1)
    found = evaluate(model, DATA, [2], reestimate=True)
    rough = quantize(model, 2)
    assert rough.augment == model.copy().augment == Shift(1)
    changed = DATA.normalise(Shift(1)(DATA.train.images, np.random.default_rng(0)))
    reestimate_batch_norm(rough, changed)
    assert found["W2"] == accuracy(rough, DATA.normalise(DATA.test.images), DATA.test.labels)
    plain, seen = quantize(model, 2), []
    plain.augment = lambda images, rng: seen.append(len(images)) or images
    evaluate(plain, DATA, reestimate=True)
    assert seen == [len(DATA.train)]


@pytest.mark.parametrize("ranges", RULES)
def test_evaluate_rounds_activations_on_every_kind_of_range(ranges):
    model, _ = trained(SGD(0.1))
    results = evaluate(model, DATA, [8], activations=[8, 1], ranges=ranges)
    assert list(results) == ["full", "A8", "A1", "W8", "W8A8", "W8A1"]
    assert abs(results["A8"] - results["full"]) < 0.05
    assert results["A1"] != results["full"]


def test_ranges_of_activations_are_those_of_the_model_whose_inputs_are_rounded():
    model, _ = trained(SGD(0.1), epochs=4)
    results = evaluate(model, DATA, [2], activations=[3])
    images = DATA.normalise(DATA.train.images[:1000])
    test = DATA.normalise(DATA.test.images), DATA.test.labels

    def rounded(observed):
        both = quantize(model, 2)
        insert_input_quantizers(both, calibrated(observed, images, 3))
        return accuracy(both, *test)

    assert results["W2A3"] == rounded(quantize(model, 2))
    # The ranges of the model before rounding are others, and give another accuracy.
    assert results["W2A3"] != rounded(model)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(mlp(), SGD(), DATA, epochs=0), "epochs"),
        (lambda: fit(mlp(), SGD(), DATA, epochs=1, batch_size=0), "batch_size"),
        (lambda: fit(mlp(), SGD(), DATA, epochs=1, seed=-1), "seed"),
        (
            lambda: fit(mlp(), SGD(), DATA, epochs=1, label_smoothing=1.0),
            r"label_smoothing must lie in \[0, 1\)",
        ),
        (
            lambda: fit(mlp(), SGD(), DATA, epochs=1, label_smoothing=0.1, objective=CrossEntropy(0.1)),
            r"label_smoothing = 0\.1 would be ignored",
        ),
        (lambda: fit(mlp((64, 5)), SGD(), DATA, epochs=1), "labels must lie in 0..4"),
        (lambda: fit(mlp((63, 10)), SGD(), DATA, epochs=1), "63 channels"),
        (lambda: evaluate(mlp(), DATA, [1]), r"2\.\.16"),
        (
            lambda: evaluate(mlp(), DATA, activations=[4], ranges="min"),
            "ranges must be one of max, ema, mse, a",
        ),
        (lambda: evaluate(mlp(), DATA, split="all"), "split must be one of train, validation, test"),
        (lambda: accuracy(mlp(), np.zeros((0, 64), np.float32), np.zeros(0, int)), "empty"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_models_that_are_not_finite_are_refused():
    model = mlp()
    model.w[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        evaluate(model, DATA, [4])
    labels = dataclasses.replace(DATA.train, labels=DATA.train.labels + 5)
    with pytest.raises(ValueError, match="labels"):
        fit(mlp(), SGD(), dataclasses.replace(DATA, train=labels), epochs=1)
