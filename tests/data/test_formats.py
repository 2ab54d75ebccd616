"""IDX and CIFAR's binary records: round trips, every accepted folder, and malformed files."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from psgd_ref.data.cifar import parse_records
from psgd_ref.data.idx import parse_idx
from psgd_ref.data.sources import FASHION_MNIST, MNIST
from tests.data.archives import TRAIN, cifar, idx, packed, small_cifar, small_mnist

FEW = settings(max_examples=50, deadline=None)


@FEW
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)))
def test_idx_round_trip(array):
    assert np.array_equal(parse_idx(idx(array), array.ndim, "x"), array)


@FEW
@given(st.integers(1, 4), st.sampled_from([(1, 10), (2, 100)]), st.randoms(use_true_random=False))
def test_cifar_round_trip(count, layout, random):
    label_bytes, classes = layout
    rng = np.random.default_rng(random.getrandbits(32))
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, classes, (count, label_bytes))
    split = parse_records(cifar(images, labels), label_bytes, classes, "x")
    assert np.array_equal(split.images, images)
    assert np.array_equal(split.labels, labels[:, -1])


@FEW
@given(hnp.arrays(np.uint8, (3, 2)), st.data())
def test_an_idx_file_that_is_cut_or_continued_is_refused(array, data):
    whole = idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for content in (whole[:cut], whole + b"\0"):
        with pytest.raises(ValueError, match=r"^labels (is not an IDX|must be \d+ bytes)"):
            parse_idx(content, 2, "labels")


def test_an_idx_file_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"begins with 00 00 08 01; 00 00 08 03 is accepted"):
        parse_idx(idx(np.zeros(4, np.uint8)), 3, "images")
    # Sizes whose product would not fit into memory are refused by the length, not tried.
    with pytest.raises(ValueError, match=r"must be \d+ bytes long"):
        parse_idx(b"\0\0\x08\x03" + b"\xff" * 12, 3, "images")


def test_cifar_records_that_are_cut_empty_or_of_unknown_labels_are_refused():
    record = cifar(np.zeros((1, 32, 32, 3), np.uint8), np.array([[9]]))
    for content in (record[:-1], record + b"\0", b""):
        with pytest.raises(ValueError, match="whole number of records of 3073 bytes"):
            parse_records(content, 1, 10, "batch")
    with pytest.raises(ValueError, match=r"label 9; labels 0\.\.4 are accepted"):
        parse_records(record, 1, 5, "batch")


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def in_a_folder_of_its_name(name):
    return f"{name.removesuffix('.gz')}/{name.removesuffix('.gz')}"


# How people's unpackers leave a file: whether unpacked, and its name.
LEFT = {
    "as published": (False, lambda name: name),
    "unpacked": (True, lambda name: name.removesuffix(".gz")),
    "unpacked, a dot": (True, lambda name: name.removesuffix(".gz").replace("-idx", ".idx")),
    "packed, a dot": (False, lambda name: name.replace("-idx", ".idx")),
    "unpacked, still called .gz": (True, lambda name: name),
    "packed, not called .gz": (False, lambda name: name.removesuffix(".gz")),
    "in a folder of its name": (True, in_a_folder_of_its_name),
    "in a folder of its name, a dot": (
        True,
        lambda name: in_a_folder_of_its_name(name).replace("-idx", ".idx"),
    ),
    "in a folder still called .gz": (True, lambda name: f"{name}/{name.removesuffix('.gz')}"),
}
PLACES = ["mnist", "MNIST/raw", "MNIST", "mnist/MNIST/raw", "Mnist/raw", "."]


@pytest.mark.parametrize("inside", PLACES)
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_idx_files_are_found_and_read_in_every_accepted_place(inside, left, tmp_path):
    source, files, arrays = small_mnist()
    unpacked, called = left
    assert source.find(tmp_path) is None
    write(
        tmp_path / inside,
        {called(name): gzip.decompress(content) if unpacked else content for name, content in files.items()},
    )
    place = source.find(tmp_path)
    train, test = source.read(place)
    assert source.published(place) == list(files)
    assert np.array_equal(train.images[..., 0], arrays["train-images-idx3-ubyte.gz"])
    assert np.array_equal(train.labels, arrays["train-labels-idx1-ubyte.gz"])
    assert np.array_equal(test.images[..., 0], arrays["t10k-images-idx3-ubyte.gz"])


@pytest.mark.parametrize("packed", [False, True])
def test_sets_of_the_same_names_in_one_folder_are_told_apart_by_checksum(packed, tmp_path):
    ours, files, arrays = small_mnist()
    other, others, _ = small_mnist(name="fashion-mnist", seed=1)
    assert list(files) == list(others)

    def put(files, folder):
        write(folder, files if packed else {n[:-3]: gzip.decompress(c) for n, c in files.items()})

    put(files, tmp_path)
    assert other.find(tmp_path) is None
    assert ours.find(tmp_path) == tmp_path
    put(others, tmp_path)
    assert ours.find(tmp_path) is None
    assert other.find(tmp_path) == tmp_path
    # Also where the other one has a folder, which comes first.
    put(files, tmp_path / "MNIST")
    train, _ = ours.read(ours.find(tmp_path))
    assert np.array_equal(train.images[..., 0], arrays["train-images-idx3-ubyte.gz"])
    # A folder that is given by its name is taken at its word, and the check says what is in it.
    put(others, tmp_path / "mine" / "mnist")
    assert ours.find(tmp_path / "mine" / "mnist") == tmp_path / "mine" / "mnist"
    with pytest.raises(ValueError, match=r"has contents of SHA-256 \w{64}; \w{64} is published"):
        ours.published(tmp_path / "mine" / "mnist")


def test_the_published_sets_are_told_apart():
    for one, other in zip(MNIST.files, FASHION_MNIST.files, strict=True):
        assert one.name == other.name
        assert len({one.sha256, other.sha256, one.content_sha256, other.content_sha256}) == 4
        assert all(re.fullmatch(r"[0-9a-f]{64}", r.content_sha256) for r in (one, other))


@pytest.mark.parametrize(
    ("inside", "form"),
    [
        ("cifar10/cifar-10-batches-bin", "batches"),
        ("cifar-10-batches-bin", "batches"),
        ("cifar-10-binary/cifar-10-batches-bin", "batches"),
        ("cifar-10-binary.tar/cifar-10-batches-bin", "batches"),
        ("cifar-10-binary", "batches"),
        ("CIFAR10/cifar-10-binary/cifar-10-batches-bin", "batches"),
        ("CIFAR-10", "batches"),
        ("cifar10", "batches"),
        (".", "batches"),
        ("cifar10", "tar.gz"),
        ("CIFAR10", "tar.gz"),
        (".", "tar.gz"),
        (".", "tar"),
        (".", "tar called gz"),
    ],
)
def test_cifar_is_found_and_read_in_every_accepted_place(inside, form, tmp_path):
    source, archive, members, images = small_cifar()
    ((name, content),) = archive.items()
    left = {
        "batches": {name.rpartition("/")[2]: content for name, content in members.items()},
        "tar.gz": archive,
        "tar": {name.removesuffix(".gz"): gzip.decompress(content)},
        "tar called gz": {name: gzip.decompress(content)},
    }
    assert source.find(tmp_path) is None
    write(tmp_path / inside, left[form])
    place = source.find(tmp_path)
    assert source.published(place) == ([name] if form == "tar.gz" else [])
    train, test = source.read(place)
    assert np.array_equal(train.images, np.concatenate(images[:2]))
    assert np.array_equal(test.images, images[2])


def test_an_incomplete_folder_is_not_taken_for_the_data_set(tmp_path):
    source, _, members, _ = small_cifar()
    write(tmp_path, {name.rpartition("/")[2]: c for name, c in list(members.items())[1:]})
    assert source.find(tmp_path) is None


def test_damaged_archives_are_refused_in_one_line(tmp_path):
    source, archive, members, _ = small_cifar()
    (name, content), *_ = archive.items()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    few = packed(dict(list(members.items())[:2]))
    for damaged, message in [
        (content[: len(content) // 2], "is damaged"),
        (bytes(flipped), "is damaged"),
        (b"<html>not found</html>", "is damaged"),
        (b"", "is damaged"),
        (few, "lacks test_batch.bin"),
    ]:
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=message) as error:
            source.read(tmp_path / name)
        assert len(str(error.value).splitlines()) == 1


def test_damaged_idx_files_are_refused(tmp_path):
    source, files, arrays = small_mnist()
    name = "train-images-idx3-ubyte.gz"
    flipped = bytearray(files[name])
    flipped[-6] ^= 1
    short = gzip.compress(idx(arrays[name][:-1]))
    for damaged, message in [
        (files[name][:50], "is damaged"),
        (bytes(flipped), "is damaged"),
        (b"<html>", "not an IDX file"),
        (b"", "begins with nothing"),
        (gzip.compress(b"\0" * 40), "not an IDX file"),
        (short, rf"as many images as labels; got {TRAIN - 1} and {TRAIN}"),
    ]:
        write(tmp_path, files | {name: damaged})
        with pytest.raises(ValueError, match=message):
            source.read(tmp_path)
