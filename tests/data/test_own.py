"""A person's own data: folders of images, archives, IDX files, and every way in which they can be wrong."""

import gzip

import numpy as np
import pytest
from PIL import Image

from psgd_ref.data import check, load, load_own
from tests.data.archives import idx

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)


def images(folder, pixels, classes=("cat", "dog"), suffix="png"):
    """The images one after the other in the folders of the classes."""
    for k, pixel in enumerate(pixels):
        place = folder / classes[k % len(classes)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixel).save(place / f"{k:03}.{suffix}")
    return folder


def everything(data):
    """All images of a data set, as bytes, with their labels."""
    return sorted(
        (image.tobytes(), int(label))
        for part in (data.train, data.validation, data.test)
        for image, label in zip(part.images, part.labels, strict=True)
    )


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_folder_of_images_by_class(tmp_path, pixels):
    place = images(tmp_path / "pets", pixels)
    (place / ".hidden").mkdir()
    (place / "cat" / "notes.txt").write_text("no image")
    data = load(str(place))
    assert (data.name, data.classes) == ("pets", 2)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [16, 2, 2]
    channels = pixels.reshape(*pixels.shape[:3], -1)
    assert everything(data) == sorted((pixel.tobytes(), k % 2) for k, pixel in enumerate(channels))
    assert np.array_equal(load(str(place)).test.images, data.test.images)


def test_one_colour_image_makes_all_of_them_colour(tmp_path):
    place = images(tmp_path, GREY[:10])
    Image.fromarray(COLOUR[0]).convert("P").save(place / "cat" / "x.gif")
    Image.fromarray(COLOUR[0]).convert("RGBA").save(place / "dog" / "x.PNG")
    data = load_own(place)
    assert data.train.images.shape[1:] == (6, 5, 3)
    assert sum(map(len, (data.train, data.validation, data.test))) == 12


def test_a_picture_that_lies_on_its_side_is_turned(tmp_path):
    place = images(tmp_path, GREY)
    turned, exif = Image.fromarray(np.rot90(GREY[0]).copy()), Image.Exif()
    exif[0x0112] = 6  # the orientation: to be turned by 90°
    turned.save(place / "cat" / "000.png", exif=exif)
    assert (GREY[0][..., None].tobytes(), 0) in everything(load_own(place))


def test_parts_of_ones_own(tmp_path):
    for part, pixels in (("train", GREY[:10]), ("val", GREY[10:14]), ("test", GREY[14:])):
        images(tmp_path / part, pixels)
    data = load_own(tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [10, 4, 6]
    labels = np.arange(20) % 2
    parts = {"images": GREY[:14], "labels": labels[:14], "test_images": GREY[14:], "test_labels": labels[14:]}
    np.savez(tmp_path / "own.npz", **parts)
    data = load_own(tmp_path / "own.npz")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [13, 1, 6]
    assert np.array_equal(data.test.images[..., 0], GREY[14:])


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_part_beside_the_classes_is_no_class(tmp_path, part):
    images(tmp_path / "pets", GREY[:14])
    images(tmp_path / "pets" / part, GREY[14:])
    data = load_own(tmp_path / "pets")
    assert data.classes == 2
    own = data.test if part == "test" else data.validation
    assert sorted(image.tobytes() for image in own.images) == sorted(pixel.tobytes() for pixel in GREY[14:])
    # But a folder of images is a class, whatever its name is.
    images(tmp_path / "words", GREY, ("test", "train", "val"))
    assert load_own(tmp_path / "words").classes == 3


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_of_any_size(tmp_path, packed):
    labels = (np.arange(20) % 3).astype(np.uint8)
    for name, content in (("images-idx3", idx(GREY)), ("labels-idx1", idx(labels))):
        suffix = ".gz" if packed else ""
        (tmp_path / f"train-{name}-ubyte{suffix}").write_bytes(gzip.compress(content) if packed else content)
    data = check(str(tmp_path)).data
    assert (data.classes, data.train.images.shape) == (3, (16, 6, 5, 1))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(GREY))
    with pytest.raises(ValueError, match="must have t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"):
        load_own(tmp_path)


def _empty(place):
    place.mkdir()


def _one_class(place):
    images(place, GREY, ("cat",))


def _other_size(place):
    images(place, GREY)
    Image.fromarray(GREY[0].T.copy()).save(place / "dog" / "tall.png")


def _unreadable(place):
    images(place, GREY)
    whole = (place / "cat" / "002.png").read_bytes()
    (place / "cat" / "002.png").write_bytes(whole[: len(whole) // 2])


def _deep(place):
    images(place, GREY)
    Image.fromarray(GREY[0].astype(np.uint16)).save(place / "cat" / "deep.png")


def _no_images(place):
    images(place, GREY)
    (place / "fish").mkdir()


def _mixed(place):
    images(place / "train", GREY)
    images(place / "bird", GREY)


def _no_train(place):
    images(place / "training", GREY)
    images(place / "test", GREY)


def _empty_test(place):
    images(place / "train", GREY)
    (place / "test").mkdir()


def _two_validations(place):
    for part in ("train", "val", "validation"):
        images(place / part, GREY)


def _one_each(place):
    images(place, GREY[:3], ("ant", "cat", "dog"))


def _another_class(place):
    images(place / "train", GREY)
    images(place / "test", GREY, ("cat", "fish"))


FOLDERS = {
    "empty": (_empty, "a folder of images for each of two classes or more"),
    "one class": (_one_class, "a folder of images for each of two classes or more"),
    "another size": (_other_size, r"one size; .*000.png has height × width 6×5, .*tall.png 5×6: resize them"),
    "unreadable": (_unreadable, r"002.png cannot be read as an image"),
    "sixteen bits": (_deep, r"deep.png has pixels of kind I;16; 8 bits a channel"),
    "no images": (_no_images, r"fish holds no images; .bmp, "),
    "parts and classes": (_mixed, r"train beside bird; parts or classes"),
    "no part to train on": (_no_train, "a folder of images for each of two classes or more"),
    "an empty part": (_empty_test, "cat holds no images"),
    "two validation parts": (_two_validations, "has both val and validation; one of them"),
    "one image each": (_one_each, r"no image of class \d is left to train on, once some are held out"),
    "a class of the test images alone": (_another_class, "has the class fish; train has cat, dog"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_that_are_refused(tmp_path, name):
    make, message = FOLDERS[name]
    make(tmp_path / "own")
    with pytest.raises(ValueError, match=message) as error:
        load_own(tmp_path / "own")
    assert str(tmp_path / "own") in str(error.value)
    assert "\n" not in str(error.value)


LABELS = np.arange(20) % 2
ARCHIVES = {
    "no labels": ({"images": GREY}, "needs the arrays images and labels; it has images"),
    "an empty part": (
        {"images": GREY, "labels": LABELS, "val_images": GREY[:0], "val_labels": LABELS[:0]},
        "the validation part must have at least one image; got none",
    ),
    "half a part": ({"images": GREY, "labels": LABELS, "test_images": GREY}, "test_images and test_labels"),
    "a slip": (
        {"images": GREY, "labels": LABELS, "tset_images": GREY},
        "has an unknown array tset_images; accepted are images, labels, validation_images",
    ),
    "a part twice": (
        {
            f"{part}{kind}": content
            for part in ("", "val_", "validation_")
            for kind, content in (("images", GREY), ("labels", LABELS))
        },
        "has two validation parts; val_images, val_labels is one too many",
    ),
    "lengths": ({"images": GREY, "labels": LABELS[:7]}, "20 images and 7 labels"),
    "NaN": ({"images": GREY * np.nan, "labels": LABELS}, "got float64 in nan..?nan|in nan…nan"),
    "negative": ({"images": GREY, "labels": LABELS - 1}, "labels must count from 0; got -1..0"),
    "fractions": ({"images": GREY, "labels": LABELS / 2}, "labels must be whole numbers"),
    "one class": ({"images": GREY, "labels": 0 * LABELS}, "got 1 labels in 0..0"),
    "far away": ({"images": GREY, "labels": LABELS * 10**12}, "got 2 labels in 0..1000000000000"),
    "objects": (
        {"images": GREY, "labels": LABELS.astype(object)},
        "an array of Python objects; arrays of numbers",
    ),
    "words": ({"images": GREY.astype(str), "labels": LABELS}, "images must be numbers"),
    "rows": ({"images": GREY.reshape(20, -1), "labels": LABELS}, "axes"),
    "none": ({"images": GREY[:0], "labels": LABELS[:0]}, "at least one image"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_refused(tmp_path, name):
    arrays, message = ARCHIVES[name]
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        load_own(tmp_path / "own.npz")
    assert str(error.value).startswith(f"{tmp_path / 'own.npz'}: ")
    assert "\n" not in str(error.value)


def test_damaged_archives_and_other_places_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, images=GREY, labels=LABELS)
    whole = path.read_bytes()
    for content in (
        b"",
        b"PK",
        b"\xff" * 300,
        whole[: len(whole) // 2],
        whole[:200] + b"\xff" * 50 + whole[250:],
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"own.npz: "):
            load_own(path)
    (tmp_path / "own.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"own.csv must be a folder or end in .npz"):
        load_own(tmp_path / "own.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder or file"):
        load_own(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"must be one of digits, .*; got 'digit', and there is no such"):
        load("digit")
