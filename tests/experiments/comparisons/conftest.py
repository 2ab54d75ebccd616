"""Comparisons in little time."""

from dataclasses import replace

import numpy as np
import pytest

from psgd_ref.data import Split, load_digits
from psgd_ref.experiments.comparisons.shared.sparse import methods
from psgd_ref.experiments.digits import recipe
from psgd_ref.models import convnet


@pytest.fixture
def short(monkeypatch):
    """Few epochs of few images, and networks in float64: on the oracles, where nothing is compiled."""
    every = load_digits()
    train, validation, test = (
        Split(split.images[:count], split.labels[:count])
        for split, count in ((every.train, 100), (every.validation, 30), (every.test, 30))
    )
    few = replace(every, train=train, validation=validation, test=test)
    monkeypatch.setattr(recipe, "data", lambda: few)
    monkeypatch.setattr(recipe, "EPOCHS", 2)
    monkeypatch.setattr(recipe, "network", lambda seed: convnet(widths=(2, 4), seed=seed, dtype=np.float64))
    monkeypatch.setattr(methods, "network", lambda seed: convnet(seed=seed, dtype=np.float64))
    monkeypatch.setattr(methods, "FINE_TUNING", 1)
