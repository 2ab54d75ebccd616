"""Loading by name, the validation split, the check, and the generated sets."""

import numpy as np
import pytest

from psgd_ref.data import Split, check, data_folder, entries, load, load_digits, load_moons, load_signals
from psgd_ref.data.arrays import channel_statistics
from psgd_ref.data.catalogue import HALVED, image_shape
from psgd_ref.data.signals import templates
from psgd_ref.data.sources import SOURCES
from psgd_ref.data.split import hold_out
from tests.data.archives import TRAIN, small_cifar, small_mnist


@pytest.fixture
def small(monkeypatch):
    """The catalogue with the small data sets in place of the real ones."""
    mnist, cifar = small_mnist(), small_cifar()
    monkeypatch.setitem(SOURCES, "mnist", mnist[0])
    monkeypatch.setitem(SOURCES, "cifar10", cifar[0])
    monkeypatch.setattr("psgd_ref.data.catalogue.VALIDATION", 6)
    return mnist[1] | cifar[1]


def test_a_set_that_is_there_is_loaded_without_a_network(small, tmp_path, monkeypatch):
    for name, content in small.items():
        (tmp_path / name).write_bytes(content)
    # The only mirror is a closed port, so that any request would fail.
    for name in ("mnist", "cifar10"):
        data = load(name, tmp_path)
        assert (len(data.train), len(data.validation)) == (TRAIN - 6, 6)
        result = check(name, tmp_path)
        assert (len(result.published), result.own) == (len(SOURCES[name].files), False)
    monkeypatch.setenv("PSGD_REF_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert len(load("cifar10").test) == len(data.test)


def test_a_halved_set_is_listed_checked_and_fetched_as_the_whole_one(small, tmp_path, monkeypatch):
    monkeypatch.setattr("psgd_ref.data.catalogue.HALVED", {"cifar10-16": ("cifar10", 9)})
    with pytest.raises(FileNotFoundError, match="cifar10-16 is not in"):
        check("cifar10-16", tmp_path)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(small["cifar-10-binary.tar.gz"])
    data = check("cifar10-16", tmp_path).data
    entry = next(entry for entry in entries(tmp_path) if entry.name == "cifar10-16")
    assert entry.shape == data.train.images.shape[1:] == (16, 16, 3)
    assert (entry.train, entry.test) == (len(data.train) + len(data.validation), len(data.test))
    assert entry.place == tmp_path / "cifar-10-binary.tar.gz"


def test_check_refuses_a_wrong_checksum_and_an_absent_set(small, tmp_path):
    with pytest.raises(FileNotFoundError, match="psgd-ref data fetch cifar10"):
        check("cifar10", tmp_path)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    content = bytearray(small[archive.name])
    content[4] ^= 1  # the time of packing: nothing but the checksum shows it
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"has SHA-256 \w{64}; \w{64} is published"):
        check("cifar10", tmp_path)


def test_hold_out_gives_every_training_image_to_one_part():

    images = np.random.default_rng(0).integers(0, 256, (40, 2, 2, 3), dtype=np.uint8)
    whole = Split(images, np.arange(40))
    data = hold_out("x", 40, whole, whole, 15)
    assert sorted([*data.train.labels, *data.validation.labels]) == list(range(40))
    assert len(data.validation) == 15
    assert np.array_equal(data.train.images, images[data.train.labels])
    normal = data.normalise(data.train.images)
    assert normal.mean((0, 1, 2)) == pytest.approx([0, 0, 0], abs=1e-6)
    assert normal.std((0, 1, 2)) == pytest.approx([1, 1, 1], abs=1e-6)


def test_channel_statistics_are_those_of_numpy_and_never_divide_by_zero():
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 2, 2), dtype=np.uint8)
    images[..., 1] = 7
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(images.mean((0, 1, 2)))
    assert std == pytest.approx([images[..., 0].std(), 1])
    digits = load_digits()
    mean, std = channel_statistics(digits.train.images)
    assert np.array_equal(mean, digits.mean)
    assert np.array_equal(std, digits.std)


@pytest.mark.parametrize("build", [load_moons, load_signals])
def test_generated_sets_depend_on_the_seed_alone(build):
    one, two, other = build(200), build(200), build(200, seed=1)
    assert np.array_equal(one.train.images, two.train.images)
    assert not np.array_equal(one.train.images, other.train.images)
    assert len(one.train) + len(one.validation) == 200
    assert set(np.unique(one.train.labels)) == set(range(one.classes))
    with pytest.raises(ValueError, match="count"):
        build(3)


def test_moons_without_noise_lie_on_their_half_circles():
    data = load_moons(1000, noise=0)
    points = data.train.images.reshape(-1, 2) * (4 / 255) - [1.5, 1.75]
    centre = np.stack([data.train.labels, data.train.labels / 2], axis=1)
    assert np.abs(np.linalg.norm(points - centre, axis=1) - 1).max() < 0.02


def test_templates_differ():
    curves = templates()
    assert np.abs(curves).max(axis=1) == pytest.approx(np.ones(10))
    gaps = np.abs(curves[:, None] - curves).max(axis=2) + 9 * np.eye(10)
    assert gaps.min() > 0.3


def test_half_the_size_is_the_mean_of_four_pixels_of_the_first_images(small, tmp_path, monkeypatch):
    for name, content in small.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(HALVED, "cifar10-16", ("cifar10", 7))
    whole, half = load("cifar10", tmp_path), load("cifar10-16", tmp_path)
    assert half.train.images.shape == (7, 16, 16, 3)
    assert (len(half.validation), len(half.test)) == (len(whole.validation), len(whole.test))
    block = whole.train.images[3, 4:6, 8:10, 1].astype(float)
    assert half.train.images[3, 2, 4, 1] == round(block.mean())
    assert np.array_equal(half.train.labels, whole.train.labels[:7])
    assert np.allclose(half.mean, half.train.images.mean((0, 1, 2)), rtol=1e-5)
    assert image_shape("cifar10-16") == ((16, 16, 3), 10)
