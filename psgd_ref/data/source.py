"""What a downloadable data set is: its files, where they come from, and how to find and read them."""

import gzip
import tarfile
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from psgd_ref.data.cifar import checked_labels, parse_records
from psgd_ref.data.dataset import Split
from psgd_ref.data.idx import parse_idx

# What a damaged gzip or tar archive makes Python's readers raise.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)


@dataclass(frozen=True)
class Remote:
    """A published file: its name, its size in bytes and its SHA-256, as published."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source(ABC):
    """A data set that is fetched once and then read from a folder.

    name    : as `load` takes it, and the name of its folder
    shape   : (H, W, C) of an image
    counts  : images to train on (validation included) and to test on
    files   : what is downloaded, from any of the `mirrors` (addresses that end in /)
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    counts: tuple[int, int]
    files: tuple[Remote, ...]
    mirrors: tuple[str, ...]

    @abstractmethod
    def find(self, folder: Path) -> Path | None:
        """Where in the folder the complete data set lies, in any of the accepted layouts; or None."""

    @abstractmethod
    def read(self, place: Path) -> tuple[Split, Split]:
        """Training and test images from a place that `find` gave; ValueError for malformed files."""

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
    """Four IDX files, gzipped as published or unpacked.

    Accepted places: FOLDER/name, torchvision's FOLDER/`torchvision`/raw, and FOLDER itself.
    """

    torchvision: str = ""

    def find(self, folder: Path) -> Path | None:
        for place in (folder / self.name, folder / self.torchvision / "raw", folder):
            if all(_either(place / remote.name).exists() for remote in self.files):
                return place
        return None

    def read(self, place: Path) -> tuple[Split, Split]:
        train_images, train_labels, test_images, test_labels = (
            _either(place / remote.name) for remote in self.files
        )
        return (
            self.complete("train", self._split(train_images, train_labels)),
            self.complete("test", self._split(test_images, test_labels)),
        )

    def _split(self, images: Path, labels: Path) -> Split:
        pixels = parse_idx(_content(images), 3, str(images))[..., None]
        numbers = parse_idx(_content(labels), 1, str(labels)).astype(np.intp)
        if len(pixels) != len(numbers):
            counts = f"got {len(pixels)} and {len(numbers)}"
            raise ValueError(f"{images} and {labels} must have as many images as labels; {counts}")
        return Split(pixels, checked_labels(numbers, self.classes, str(labels)))


@dataclass(frozen=True)
class CifarSource(Source):
    """Binary batches, packed in one archive as published or unpacked.

    inside      : name of the archive's folder
    batches     : names of the files in it, the test batch last
    label_bytes : of each record
    Accepted places: the batches in FOLDER/name/inside, FOLDER/inside, FOLDER/name or FOLDER, or the
    archive in FOLDER/name or FOLDER. Never the pickled ("python") version.
    """

    inside: str = ""
    batches: tuple[str, ...] = ()
    label_bytes: int = 1

    def find(self, folder: Path) -> Path | None:
        bases = (folder / self.name, folder)
        for place in (*(base / self.inside for base in bases), *bases):
            if all((place / batch).exists() for batch in self.batches):
                return place
        archives = [base / self.files[0].name for base in bases]
        return next((archive for archive in archives if archive.exists()), None)

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
            with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as packed:
                found = {Path(member.name).name: member for member in packed if member.isfile()}
                missing = [batch for batch in self.batches if batch not in found]
                if missing:
                    raise ValueError(f"{archive} lacks {', '.join(missing)}")
                members = (packed.extractfile(found[batch]) for batch in self.batches)
                contents = [member.read() for member in members if member is not None]
                # The checksum stands at the end, and only who reads to the end is told of a wrong one.
                while stream.read(2**20):
                    pass
                return contents
        except DAMAGED as error:
            raise ValueError(
                f"{archive} is damaged ({error}); remove it, and it will be fetched again"
            ) from None


def _either(path: Path) -> Path:
    """The path as it is, or without its .gz when only the unpacked file exists."""
    return path if path.exists() else path.with_suffix("")


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, and it will be fetched again") from None
