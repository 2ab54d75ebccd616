"""The scikit-learn classifier: the library's own checks, and what only this one promises."""

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_digits, make_moons  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from psgd_ref.compress import QuantizedModel  # noqa: E402
from psgd_ref.interop.sklearn import PSGDClassifier  # noqa: E402

MOONS = make_moons(200, noise=0.15, random_state=0)
QUICK = {"max_iter": 40, "hidden_layer_sizes": (16,), "random_state": 0}


@parametrize_with_checks([PSGDClassifier(max_iter=40)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_learns_and_its_integers_predict_nearly_as_well():
    X, y = MOONS
    model = make_pipeline(StandardScaler(), PSGDClassifier(bits=3, **QUICK)).fit(X, y)
    assert model.score(X, y) > 0.85
    classifier = model[-1]
    rounded = classifier.quantize(8)
    assert isinstance(rounded.model_, QuantizedModel)
    assert type(classifier.model_) is not QuantizedModel
    scaled = model[:-1].transform(X)
    assert abs(rounded.score(scaled, y) - classifier.score(scaled, y)) < 0.05
    assert rounded.model_.quantized["fc1.weight"].codes.dtype == np.int8
    with pytest.raises(ValueError, match="quantized model is not trained further"):
        rounded.set_params(warm_start=True).fit(scaled, y)


def test_in_a_grid_search_and_calibrated_and_with_frames():
    pandas = pytest.importorskip("pandas")
    X, y = MOONS
    frame = pandas.DataFrame(X, columns=["left", "right"])
    search = GridSearchCV(PSGDClassifier(**QUICK), {"bits": [3, 8]}, cv=2).fit(frame, y)
    assert list(search.best_estimator_.feature_names_in_) == ["left", "right"]
    calibrated = CalibratedClassifierCV(PSGDClassifier(**QUICK), cv=2).fit(frame, y)
    assert np.allclose(calibrated.predict_proba(frame).sum(axis=1), 1)
    with pytest.raises(ValueError, match="feature names"):
        search.best_estimator_.predict(frame.rename(columns={"left": "up"}))


def test_weights_count_rows_and_rows_without_weight_do_not_count():
    X, y = MOONS
    weights = np.r_[np.ones(100), np.zeros(100)]
    one = PSGDClassifier(batch_size=200, **QUICK).fit(X, y, weights)
    two = PSGDClassifier(batch_size=200, **QUICK).fit(X[:100], y[:100])
    assert np.allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-6)


def test_decay_to_the_grid_gathers_the_weights():
    X, y = MOONS
    spread = {}
    for target in ("zero", "grid"):
        found = PSGDClassifier(
            bits=4, decay_target=target, weight_decay=0.05, **(QUICK | {"max_iter": 100})
        ).fit(X, y)
        w = found.model_.segment("fc1.weight").view(found.model_.w)
        step = np.abs(w).max() / 7
        spread[target] = np.abs(w / step - np.rint(w / step)).mean()
    assert spread["grid"] < 0.5 * spread["zero"]


def test_images_and_early_stopping():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)[:300]
    model = PSGDClassifier(
        network="convnet",
        image_shape=(8, 8),
        hidden_layer_sizes=(8, 16),
        early_stopping=True,
        n_iter_no_change=3,
        max_iter=14,
        batch_size=50,
        random_state=0,
    ).fit(X, y[:300])
    assert model.score(X, y[:300]) > 0.6
    assert model.n_iter_ == len(model.loss_curve_) <= 14


def test_warm_start_goes_on_from_the_weights():
    X, y = MOONS
    model = PSGDClassifier(warm_start=True, max_iter=1, hidden_layer_sizes=(8,), random_state=0).fit(X, y)
    first, network = model.loss_curve_[0], model.model_
    for _ in range(5):
        model.fit(X, y)
    assert model.model_ is network
    assert model.loss_curve_[0] < first
    with pytest.raises(ValueError, match="needs the classes of the last fit"):
        model.fit(X, y + 1)


def test_bad_input_is_refused():
    X, y = MOONS
    for options, message in (
        ({"bits": 1}, "'bits' parameter"),
        ({"network": "vgg"}, "'network' parameter"),
        ({"decay_target": "up"}, "'decay_target' parameter"),
        ({"network": "convnet"}, "image_shape must be"),
        ({"network": "convnet", "image_shape": (3, 3)}, "of 2 numbers"),
        ({"learning_rate_init": 1e30}, "training diverged in epoch"),
    ):
        with pytest.raises(ValueError, match=message):
            PSGDClassifier(**(QUICK | options)).fit(X, y)
    with pytest.raises(NotFittedError):
        PSGDClassifier().quantize()
