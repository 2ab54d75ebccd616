"""A person's data set from where it lies: a folder of images by class, IDX files, or an .npz archive."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.data.arrays import as_labels
from psgd_ref.data.dataset import Dataset
from psgd_ref.data.idx import parse_idx
from psgd_ref.data.source import DAMAGED, idx_file, unpacked_content

ARCHIVE = ".npz"
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
# The parts by the names of folders, and of arrays: images and labels are those to train on.
PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
ARRAYS = {"": "train", "validation_": "validation", "val_": "validation", "test_": "test"}
# MNIST's names, without the endings that unpackers change.
IDX = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
GREY = {"1", "L", "LA"}
COLOURS = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}
HELD_OUT = 0.1

Part = tuple[Any, npt.NDArray[Any]]


def load_own(place: Path) -> Dataset:
    """The data set in a folder or archive of a person's own.

    Accepted are a folder with a folder of images for each class (grey or colour, of one size), whose classes
    count in the order of their names; a folder with MNIST's four files, of images of any size; and an .npz
    archive with the arrays `images` and `labels`. A folder may have the folders `train`, `validation` (or
    `val`) and `test` above the classes (without `train` the classes beside them are those to train on), an
    archive arrays such as `test_images` and `test_labels`. What is not there is held out of the images to
    train on, a tenth of them, drawn at random, always the same.

    Parameters
    ----------
    place
        The folder, or the file.

    Raises
    ------
    ValueError
        For anything else, for images of different sizes, a single class, a class without images to train on,
        and for images that cannot be read, by name.
    OSError
        When it is not there.
    """
    if not place.exists():
        advice = "if the data have moved, --data says where"
        raise FileNotFoundError(f"there is no folder or file {place}; {advice}")
    if place.is_file() and place.suffix != ARCHIVE:
        raise ValueError(f"{place} must be a folder or end in {ARCHIVE}")
    reader = _archive if place.is_file() else _idx if idx_file(place, IDX["train"][0]) else _folder
    parts = reader(place)
    try:
        return _dataset(place.absolute().stem, parts)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _dataset(name: str, parts: Mapping[str, Part]) -> Dataset:
    images, labels = parts["train"]
    for part, (given, _) in parts.items():
        if len(given) == 0 and part != "train":
            raise ValueError(f"the {part} part must have at least one image; got none")
    held_out: dict[str, Any] = {part: parts.get(part, HELD_OUT) for part in ("validation", "test")}
    numbers = as_labels(labels)
    classes = len(np.unique(numbers))
    if numbers.size and (classes < 2 or numbers.max() >= classes):
        raise ValueError(
            f"labels must be 0, 1, 2, …, each with images to train on; got {classes} labels in "
            f"{numbers.min()}..{numbers.max()}"
        )
    data = Dataset.from_arrays(images, numbers, **held_out, classes=max(classes, 2), name=name)
    lost = np.setdiff1d(numbers, data.train.labels)
    if lost.size:
        raise ValueError(
            f"no image of class {lost[0]} is left to train on, once some are held out: add images, or give "
            "validation and test images of their own"
        )
    return data


def _archive(place: Path) -> dict[str, Part]:
    """The arrays of an .npz file; pickled objects in it are refused, never run."""
    if not zipfile.is_zipfile(place):
        raise ValueError(f"{place}: it is no {ARCHIVE} archive as numpy.savez writes it, or it was cut off")
    found: dict[str, Part] = {}
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for prefix, part in ARRAYS.items():
                names = [f"{prefix}images", f"{prefix}labels"]
                given = [name for name in names if name in arrays]
                if len(given) == 1 or (not prefix and not given):
                    raise ValueError(f"needs the arrays {' and '.join(names)}; it has {', '.join(arrays)}")
                if given and part in found:
                    raise ValueError(f"has two {part} parts; {', '.join(names)} is one too many")
                if given:
                    found[part] = (arrays[names[0]], arrays[names[1]])
            known = [f"{prefix}{kind}" for prefix in ARRAYS for kind in ("images", "labels")]
            unknown = [name for name in arrays if name.endswith(("images", "labels")) and name not in known]
            if unknown:
                raise ValueError(f"has an unknown array {unknown[0]}; accepted are {', '.join(known)}")
    except (*DAMAGED, ValueError, zipfile.BadZipFile, MemoryError, NotImplementedError) as error:
        reason = " ".join(str(error).split()) or "it is damaged"
        if "allow_pickle" in reason:
            reason = "it has an array of Python objects; arrays of numbers are accepted"
        raise ValueError(f"{place}: {reason}") from None
    return found


def _idx(place: Path) -> dict[str, Part]:
    """MNIST's files; those of the test images may lack."""
    found: dict[str, Part] = {}
    for part, names in IDX.items():
        paths = [idx_file(place, name) for name in names]
        images, labels = paths
        if images is not None and labels is not None:
            pixels = parse_idx(unpacked_content(images), 3, str(images))
            found[part] = (pixels, parse_idx(unpacked_content(labels), 1, str(labels)))
        elif part == "train" or paths != [None, None]:
            raise ValueError(f"{place} must have {' and '.join(names)}")
    return found


def _folder(place: Path) -> dict[str, Part]:
    """Images by class, in parts or not."""
    below = _folders(place)
    # A part has folders, for its classes, or nothing yet; a class of such a name has images.
    parts = [folder for folder in below if folder.name in PARTS and not _holds_files(folder)]
    named = {PARTS[folder.name]: folder for folder in parts}
    if len(named) < len(parts):
        raise ValueError(f"{place} has both val and validation; one of them is accepted")
    others = [folder for folder in below if folder not in parts]
    if "train" in named and others:
        names = ", ".join(folder.name for folder in others)
        raise ValueError(f"{place} has train beside {names}; parts or classes are accepted, not both")
    # Beside a `test` of its own the other folders are the classes to train on.
    named.setdefault("train", place)
    classes = [folder.name for folder in (others or _folders(named["train"]))]
    if len(classes) < 2:
        raise ValueError(f"{named['train']} must have a folder of images for each of two classes or more")
    files = {part: _images_of(folder, classes) for part, folder in named.items() if folder != place}
    if named["train"] == place:
        files["train"] = _images_in(place, classes)
    pixels = iter(_read([path for found in files.values() for path, _ in found]))
    return {
        part: (np.stack([next(pixels) for _ in found]), np.array([label for _, label in found]))
        for part, found in files.items()
    }


def _holds_files(folder: Path) -> bool:
    return not _folders(folder) and any(folder.iterdir())


def _folders(place: Path) -> list[Path]:
    return sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))


def _images_of(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """The images below a part's folder with their classes, in the order of their names."""
    unknown = [child.name for child in _folders(folder) if child.name not in classes]
    if unknown:
        raise ValueError(f"{folder} has the class {unknown[0]}; train has {', '.join(classes)}")
    return _images_in(folder, classes)


def _images_in(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """The images in a folder's folders of these names."""
    found = []
    for label, name in enumerate(classes):
        files = sorted(path for path in (folder / name).glob("**/*") if path.suffix.lower() in IMAGES)
        if not files:
            raise ValueError(f"{folder / name} holds no images; {', '.join(sorted(IMAGES))} are accepted")
        found += [(path, label) for path in files]
    return found


def _read(paths: list[Path]) -> list[npt.NDArray[np.uint8]]:
    """All images in one size, grey if all of them are, else in colour."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ValueError("a folder of images needs Pillow: pip install 'psgd_ref[images]'") from None
    found = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                mode = image.mode
                pixels = np.asarray(image.convert("L" if mode in GREY else "RGB"))
        except Exception as error:  # a damaged file can make a decoder raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{path} cannot be read as an image: {reason}") from None
        if mode not in GREY | COLOURS:
            raise ValueError(f"{path} has pixels of kind {mode}; 8 bits a channel are accepted")
        found.append(pixels)
        if pixels.shape[:2] != found[0].shape[:2]:
            sizes = [f"{pixel.shape[0]}×{pixel.shape[1]}" for pixel in (found[0], pixels)]
            raise ValueError(
                f"images must have one size; {paths[0]} has height × width {sizes[0]}, {path} {sizes[1]}: "
                "resize them first"
            )
    if all(pixels.ndim == 2 for pixels in found):
        return found
    return [pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1) for pixels in found]
