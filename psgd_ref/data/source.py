"""What a downloadable data set is: its files, where they come from, and how to find and read them."""

import gzip
import hashlib
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from psgd_ref.data.cifar import checked_labels, parse_records
from psgd_ref.data.dataset import Split
from psgd_ref.data.idx import parse_idx

# What Python's readers raise for a damaged gzip or tar archive.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)
# What every gzip file begins with; names say less, since some programs unpack a file and keep its name.
GZIP = b"\x1f\x8b"
# Folders in folders that are looked into.
DEPTH = 3
# Where torchvision puts files, inside a folder of the data set's name.
RAW = "raw"


@dataclass(frozen=True)
class Remote:
    """A published file: its name, its size in bytes, its SHA-256, and that of its content once unpacked."""

    name: str
    size: int
    sha256: str
    content_sha256: str = ""


@dataclass(frozen=True)
class Source(ABC):
    """A data set that is fetched once and then read from a folder.

    Parameters
    ----------
    name
        As `load` takes it, and the name of its folder.
    shape
        (H, W, C) of an image.
    counts
        Images to train on (validation included) and to test on.
    files, mirrors
        What is downloaded, from any of the mirrors (addresses that end in /).
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    counts: tuple[int, int]
    files: tuple[Remote, ...]
    mirrors: tuple[str, ...]

    @property
    def folder_names(self) -> set[str]:
        """What its folder may be called, as `_plain` gives names."""
        return {_plain(self.name)}

    def places(self, folder: Path) -> Iterator[tuple[Path, bool]]:
        """Folders to look into, and whether they have the data set's name: those below, then the folder."""
        for named in _below(folder, self.folder_names):
            yield named, True
            yield named / RAW, True
        here = folder.absolute()
        own = {_plain(here.name)} | ({_plain(here.parent.name)} if here.name == RAW else set())
        yield folder, bool(own & self.folder_names)
        yield folder / RAW, bool(own & self.folder_names)

    @abstractmethod
    def find(self, folder: Path) -> Path | None:
        """Where in the folder the complete data set lies, in any of the accepted layouts; or None."""

    @abstractmethod
    def published(self, place: Path) -> list[str]:
        """Names of the files at a place that have a published checksum.

        Raises
        ------
        ValueError
            When one has another.
        """

    @abstractmethod
    def read(self, place: Path) -> tuple[Split, Split]:
        """Training and test images from a place that `find` gave.

        Raises
        ------
        ValueError
            For malformed files.
        """

    def complete(self, part: str, split: Split) -> Split:
        """The split when it has the published number of images of the published shape; else ValueError."""
        count = self.counts[part == "test"]
        if split.images.shape != (count, *self.shape) or len(split.labels) != count:
            raise ValueError(
                f"{self.name} has {count} {part} images of shape {self.shape}; found images "
                f"{split.images.shape} and {len(split.labels)} labels"
            )
        return split


@dataclass(frozen=True)
class IdxSource(Source):
    """Four IDX files, gzipped as published or unpacked, under the names that unpackers give.

    Accepted places: a folder in FOLDER that is named like the data set, in any case and punctuation, such as
    MNIST or Fashion_MNIST, or `raw` in it; and FOLDER itself. There the files of another set may lie, since
    they have the same names: they are taken only when the labels have the published checksum, unless FOLDER
    itself is named like the data set.
    """

    def find(self, folder: Path) -> Path | None:
        for place, named in self.places(folder):
            paths = self._paths(place)
            if len(paths) == len(self.files) and (named or self._labels_are_published(paths)):
                return place
        return None

    def published(self, place: Path) -> list[str]:
        """Checksums of the contents, so that it does not matter who packed or unpacked them."""
        for remote, path in self._paths(place).items():
            found = hashlib.sha256(unpacked_content(path)).hexdigest()
            if found != remote.content_sha256:
                raise ValueError(
                    f"{path} has contents of SHA-256 {found}; {remote.content_sha256} is published"
                )
        return [remote.name for remote in self.files]

    def _labels_are_published(self, paths: dict[Remote, Path]) -> bool:
        labels = [remote for remote in self.files if "labels" in remote.name]
        try:
            contents = {remote: unpacked_content(paths[remote]) for remote in labels}
        except ValueError:
            return False
        return all(hashlib.sha256(contents[r]).hexdigest() == r.content_sha256 for r in labels)

    def _paths(self, place: Path) -> dict[Remote, Path]:
        """The files that are at a place."""
        found = {remote: idx_file(place, remote.name.removesuffix(".gz")) for remote in self.files}
        return {remote: path for remote, path in found.items() if path is not None}

    def read(self, place: Path) -> tuple[Split, Split]:
        paths = self._paths(place)
        train_images, train_labels, test_images, test_labels = (paths[remote] for remote in self.files)
        return (
            self.complete("train", self._split(train_images, train_labels)),
            self.complete("test", self._split(test_images, test_labels)),
        )

    def _split(self, images: Path, labels: Path) -> Split:
        pixels = parse_idx(unpacked_content(images), 3, str(images))[..., None]
        numbers = parse_idx(unpacked_content(labels), 1, str(labels)).astype(np.intp)
        if len(pixels) != len(numbers):
            counts = f"got {len(pixels)} and {len(numbers)}"
            raise ValueError(f"{images} and {labels} must have as many images as labels; {counts}")
        return Split(pixels, checked_labels(numbers, self.classes, str(labels)))


@dataclass(frozen=True)
class CifarSource(Source):
    """Binary batches, packed in one archive as published or unpacked.

    Accepted places: a folder in FOLDER that is named like the data set, its archive or `inside`, in any case
    and punctuation (cifar10, CIFAR-10, cifar-10-binary, cifar-10-batches-bin), one in another, too; and
    FOLDER itself. Never the pickled ("python") version.

    Parameters
    ----------
    inside
        Name of the archive's folder.
    batches
        Names of the files in it, the test batch last.
    label_bytes
        Of each record.
    """

    inside: str = ""
    batches: tuple[str, ...] = ()
    label_bytes: int = 1

    @property
    def folder_names(self) -> set[str]:
        return {_plain(name) for name in (self.name, self.inside, self.files[0].name)}

    def find(self, folder: Path) -> Path | None:
        places = [place for place, _ in self.places(folder)]
        for place in places:
            if all((place / batch).is_file() for batch in self.batches):
                return place
        name = self.files[0].name
        archives = (place / each for place in places for each in (name, name.removesuffix(".gz")))
        return next((archive for archive in archives if archive.is_file()), None)

    def published(self, place: Path) -> list[str]:
        """The archive; no checksum is published for unpacked batches."""
        if place.is_dir() or not _is_gzip(place):
            return []
        (remote,) = self.files
        with place.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != remote.sha256:
            raise ValueError(f"{place} has SHA-256 {found}; {remote.sha256} is published")
        return [remote.name]

    def read(self, place: Path) -> tuple[Split, Split]:
        contents = self._unpacked(place) if place.is_dir() else self._packed(place)
        *train, test = (
            parse_records(content, self.label_bytes, self.classes, f"{place}: {batch}")
            for batch, content in zip(self.batches, contents, strict=True)
        )
        images, labels = (np.concatenate([getattr(s, part) for s in train]) for part in ("images", "labels"))
        return self.complete("train", Split(images, labels)), self.complete("test", test)

    def _unpacked(self, place: Path) -> list[bytes]:
        return [(place / batch).read_bytes() for batch in self.batches]

    def _packed(self, archive: Path) -> list[bytes]:
        # Read in place: nothing is unpacked to the disk, so no name in the archive can do harm.
        try:
            with _opened(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as packed:
                found = {Path(member.name).name: member for member in packed if member.isfile()}
                missing = [batch for batch in self.batches if batch not in found]
                if missing:
                    raise ValueError(f"{archive} lacks {', '.join(missing)}")
                members = (packed.extractfile(found[batch]) for batch in self.batches)
                contents = [member.read() for member in members if member is not None]
                # The checksum is at the end, and a wrong one is reported only to those who read that far.
                while stream.read(2**20):
                    pass
                return contents
        except DAMAGED as error:
            raise ValueError(
                f"{archive} is damaged ({error}); remove it, and it will be fetched again"
            ) from None


def _plain(name: str) -> str:
    """A name in lower case without punctuation: CIFAR-10, cifar_10 and cifar10.tar.gz become one."""
    name = name.lower().removesuffix(".gz").removesuffix(".tar")
    return "".join(letter for letter in name if letter.isalnum())


def _below(folder: Path, names: set[str], depth: int = DEPTH) -> Iterator[Path]:
    """Folders of these plain names in the folder, and in one another."""
    if depth == 0 or not folder.is_dir():
        return
    for child in sorted(folder.iterdir()):
        if _plain(child.name) in names and child.is_dir():
            yield child
            yield from _below(child, names, depth - 1)


def idx_file(place: Path, name: str, inside: bool = False) -> Path | None:
    """As train-images-idx3-ubyte or train-images.idx3-ubyte, .gz or not, or in a folder of that name."""
    for each in (name, name.replace("-idx", ".idx")):
        for path in (place / f"{each}.gz", place / each):
            if path.is_file():
                return path
            if path.is_dir() and not inside and (found := idx_file(path, name, inside=True)):
                return found
    return None


def _opened(path: Path) -> IO[bytes]:
    """A file, unpacked where it is gzipped."""
    return cast(IO[bytes], gzip.open(path)) if _is_gzip(path) else path.open("rb")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def unpacked_content(path: Path) -> bytes:
    """The bytes of a file, unpacked where it is gzipped; ValueError for a damaged one."""
    content = path.read_bytes()
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, and it will be fetched again") from None
