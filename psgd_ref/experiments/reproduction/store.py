"""Results kept between commands, each under the hash of what it depends on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.experiments.shared.identity import identity
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.kernels.compile import cache_folder

Arrays = dict[str, npt.NDArray[Any]]


def default_folder() -> Path:
    """`reproduce` in the user's cache, beside the compiled kernels."""
    return cache_folder().parent / "reproduce"


@dataclass(frozen=True)
class Store:
    """Where results are kept, and on how many processes those that are missing are made.

    workers : None for one a core; the results do not depend on it
    """

    folder: Path
    workers: int | None = None

    def all(self, function: Callable[[Any], Arrays], jobs: Sequence[Any], title: str) -> list[Arrays]:
        """function(job) for every job, in order; what was made before is read.

        function : of a module, gives arrays by name; jobs : dataclasses of plain values
        A result is kept as soon as it is there, so that a killed command loses only what it was at.
        """
        paths = [self._path(function, job) for job in jobs]
        missing = [(job, path) for job, path in zip(jobs, paths, strict=True) if not path.exists()]
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            run_all(partial(_make, function), missing, self.workers, title)
        return [_read(path) for path in paths]

    def one(self, make: Callable[[], Arrays], configuration: Mapping[str, Any]) -> Arrays:
        """make(), or what it gave for the same configuration before; it may use several processes itself."""
        path = self.folder / f"{identity(configuration, make.__module__)}.npz"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(make(), path)
        return _read(path)

    def _path(self, function: Callable[[Any], Arrays], job: Any) -> Path:
        configuration = {"function": function.__qualname__, "job": asdict(job)}
        return self.folder / f"{identity(configuration, function.__module__)}.npz"


def _make(function: Callable[[Any], Arrays], missing: tuple[Any, Path]) -> None:
    job, path = missing
    _write(function(job), path)


def _write(arrays: Arrays, path: Path) -> None:
    with whole_file(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
