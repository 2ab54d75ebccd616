"""The 1,797 handwritten digits that come with the package.

They are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak,
1998, UCI Machine Learning Repository, doi 10.24432/C50P49), written by 13 of its 43 writers, as
scikit-learn distributes them. Licence: CC BY 4.0, with the attribution above. The same writers are in all
splits, so accuracies say nothing about new writers.
"""

from importlib import resources

import numpy as np

from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.data.split import SPLIT_SEED

VALIDATION, TEST = 300, 497


def load_digits() -> Dataset:
    """8×8 grey images (N, 8, 8, 1) with pixels 0 … 16: 1,000 to train, 300 to validate, 497 to test."""
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        images, labels = archive["images"][..., None], archive["labels"].astype(np.intp)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    test, validation, train = np.split(order, [TEST, TEST + VALIDATION])
    pixels = images[train].astype(np.float64)
    return Dataset(
        name="digits",
        classes=10,
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(images[test], labels[test]),
        mean=pixels.mean(axis=(0, 1, 2)).astype(np.float32),
        std=pixels.std(axis=(0, 1, 2)).astype(np.float32),
    )
