"""The data sets by name: what there is, where it lies, and loading it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pooch

from psgd_ref.data.dataset import Dataset
from psgd_ref.data.digits import load_digits
from psgd_ref.data.download import download
from psgd_ref.data.moons import load_moons
from psgd_ref.data.own import load_own
from psgd_ref.data.signals import load_signals
from psgd_ref.data.source import Source
from psgd_ref.data.sources import SOURCES
from psgd_ref.data.split import halved, hold_out

# Made or embedded: no file, no network.
BUILT_IN: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "moons": load_moons,
    "signals": load_signals,
}
# A downloaded set with its images averaged over 2 × 2 pixels, and how many of its training images are taken.
HALVED = {"cifar10-16": ("cifar10", 12000)}
NAMES = (*BUILT_IN, *SOURCES, *HALVED)
# Training images of a downloaded set that are kept for validation.
VALIDATION = 5000


def data_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """Where downloaded sets live: the given folder, else PSGD_REF_DATA, else `data` in the user's cache.

    Raises
    ------
    ValueError
        When none is given and there is no home folder; the message names PSGD_REF_DATA.
    """
    chosen = folder or os.environ.get("PSGD_REF_DATA")
    if chosen:
        return Path(chosen)
    try:
        cache = Path(pooch.os_cache("psgd_ref"))
    except RuntimeError:
        cache = Path()
    # Without a home folder some versions return a folder named ~, and some raise.
    if not cache.is_absolute():
        raise ValueError("there is no home folder; say with PSGD_REF_DATA where data sets live")
    return cache / "data"


def own_place(name: str) -> Path | None:
    """The place of a data set of a person's own, None for one of the catalogue.

    Raises
    ------
    ValueError
        For what is neither a name of the catalogue nor a path.
    """
    if isinstance(name, str) and name and name not in NAMES:
        path = Path(name)
        # An absolute path may be a run's record of what has moved since.
        if path.exists() or path.is_absolute():
            return path
    if name not in NAMES:
        raise ValueError(
            f"data set must be one of {', '.join(NAMES)}, a folder of images by class or an .npz file; "
            f"got {name!r}, and there is no such folder or file"
        )
    return None


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set of that name; 5,000 training images of a downloaded one become its validation images.

    Parameters
    ----------
    name
        digits, moons, signals, mnist, fashion-mnist, cifar10, cifar100 or cifar10-16; or the path of a data
        set of one's own, as `load_own` takes it, such as a folder of images by class.
    folder
        Where downloaded sets live (see `data_folder`). What lies there in its canonical layout is used as it
        is; only what is missing is fetched.

    Raises
    ------
    ValueError
        For another name and for malformed files.
    ConnectionError, OSError
        As `download`, and for a path where nothing is.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> digits = pr.load("digits")
    >>> digits.classes, digits.test.images.shape[1:]
    (10, (8, 8, 1))
    """
    place = own_place(name)
    if place is not None:
        return load_own(place)
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if name in HALVED:
        whole, count = HALVED[name]
        return halved(name, load(whole, folder), count)
    source = SOURCES[name]
    train, test = source.read(_present(source, data_folder(folder)))
    return hold_out(name, source.classes, train, test, VALIDATION)


def image_shape(name: str) -> tuple[tuple[int, ...], int]:
    """(H, W, C) of the images of a data set and its number of classes; nothing is fetched.

    Raises
    ------
    ValueError
        For another name.
    """
    place = own_place(name)
    if place is not None or name in BUILT_IN:
        data = load(name)
        return data.train.images.shape[1:], data.classes
    if name in HALVED:
        (height, width, channels), classes = image_shape(HALVED[name][0])
        return (height // 2, width // 2, channels), classes
    return SOURCES[name].shape, SOURCES[name].classes


def fetch(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Make sure that the files of a data set are there.

    Parameters
    ----------
    name, folder
        As in `load`.

    Returns
    -------
    The folder of the files, None for a set that has none.

    Raises
    ------
    ValueError
        For another name and for a wrong checksum.
    ConnectionError
        When no mirror answers.
    """
    place = own_place(name)
    name = HALVED[name][0] if name in HALVED else name
    return place if place is not None or name in BUILT_IN else _present(SOURCES[name], data_folder(folder))


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue.

    Parameters
    ----------
    name, classes, shape
        The data set's name, its number of classes and (H, W, C) of an image.
    train, test
        Numbers of images; train includes those for validation.
    megabytes
        To download, in 10⁶ bytes; 0 for built-in sets.
    place
        Where it lies, None when it is not there yet or needs no file.
    """

    name: str
    classes: int
    shape: tuple[int, ...]
    train: int
    test: int
    megabytes: float
    place: Path | None

    @property
    def state(self) -> str:
        """In words: built in, its place, or not fetched."""
        return "built in" if self.megabytes == 0 else str(self.place or "not fetched")


def entries(folder: str | os.PathLike[str] | None = None) -> list[Entry]:
    """Every data set, with the place where it lies in the folder."""
    found = []
    for name, build in BUILT_IN.items():
        data = build()
        count = len(data.train) + len(data.validation)
        found.append(Entry(name, data.classes, data.train.images.shape[1:], count, len(data.test), 0, None))
    for source in SOURCES.values():
        size = sum(remote.size for remote in source.files) / 1e6
        place = source.find(data_folder(folder))
        found.append(Entry(source.name, source.classes, source.shape, *source.counts, size, place))
    by_name = {entry.name: entry for entry in found}
    for name, (whole, count) in HALVED.items():
        shape, _ = image_shape(name)
        found.append(replace(by_name[whole], name=name, shape=shape, train=count + VALIDATION))
    return found


@dataclass(frozen=True)
class Check:
    """What a check found.

    Parameters
    ----------
    data
        The data set.
    place
        Where it lies, None for a built-in set.
    published
        Files that have their published checksum, packed or unpacked.
    own
        Whether some files are in a form that has none, such as CIFAR's batches unpacked.
    """

    data: Dataset
    place: Path | None
    published: list[str]
    own: bool


def check(name: str, folder: str | os.PathLike[str] | None = None) -> Check:
    """Read a data set from its place and compare its files with the published checksums; nothing is fetched.

    Parameters
    ----------
    name, folder
        As in `load`.

    Raises
    ------
    ValueError
        For another name, a wrong checksum or a malformed file.
    FileNotFoundError
        When it is not there.
    """
    own = own_place(name)
    if own is not None or name in BUILT_IN:
        return Check(load(name), own, [], own=own is not None)
    source, base = SOURCES[HALVED[name][0] if name in HALVED else name], data_folder(folder)
    place = source.find(base)
    if place is None:
        raise FileNotFoundError(f"{name} is not in {base}; `psgd-ref data fetch {name}` downloads it")
    published = source.published(place)
    return Check(load(name, folder), place, published, own=len(published) < len(source.files))


def _present(source: Source, folder: Path) -> Path:
    found = source.find(folder)
    if found is None:
        download(source, folder)
        found = source.find(folder)
        assert found is not None
    return found
