"""Named arrays, an npz file for each result, kept between commands."""

import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.experiments.store.identity import identity
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.kernels.user_folder import USER_CACHE, user_cache
from psgd_ref.training.runs.checkpoint import checksum

Arrays = dict[str, npt.NDArray[Any]]
# An array beside the result's own.
CHECKSUM = "psgd_ref.sha256"
# What a damaged archive makes Python's and NumPy's readers raise; a wrong size can ask for any memory.
DAMAGED = (
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    OSError,
)


def default_folder() -> Path:
    """`reproduce` in the user's cache, beside the compiled kernels; ValueError when there is none."""
    return (USER_CACHE or user_cache()) / "reproduce"


@dataclass(frozen=True)
class ArrayStore:
    """Where results are kept, and on how many processes those that are missing are computed.

    Parameters
    ----------
    folder : Path
        Made when the first result is written.
    workers : int, optional
        None for one a core; the results do not depend on it.
    """

    folder: Path
    workers: int | None = None

    def all(
        self, function: Callable[..., Arrays], jobs: Sequence[Any], title: str, given: Sequence[Any] = ()
    ) -> list[Arrays]:
        """function(job, *given) for every job, in order; what was computed before is read.

        A result is written as soon as it is there, so that a killed command loses only what it was at.

        Parameters
        ----------
        function : callable
            A module's function, which gives arrays by name.
        jobs : sequence
            Dataclasses of plain values.
        title : str
            Of the progress bar.
        given : sequence
            What the results do not depend on, such as the folder of the data.

        Returns
        -------
        list of dict
            The arrays of each job.
        """
        paths = [self._path(function, job) for job in jobs]
        missing = [(job, path) for job, path in zip(jobs, paths, strict=True) if not _whole(path)]
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            run_all(partial(_make, function, given), missing, self.workers, title)
        return [_read(path) for path in paths]

    def one(self, make: Callable[[], Arrays], configuration: Mapping[str, Any]) -> Arrays:
        """make(), or what it gave for the same configuration before; it may use several processes itself.

        Parameters
        ----------
        make : callable
            Gives arrays by name.
        configuration : mapping
            All that its result depends on beside the code, as in `identity`.
        """
        path = self.folder / f"{identity(configuration, make.__module__)}.npz"
        if not _whole(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(make(), path)
        return _read(path)

    def known(self, function: Callable[..., Arrays], job: Any) -> Arrays:
        """What function(job) gave before.

        Raises
        ------
        OSError
            When it was not computed.
        """
        return _read(self._path(function, job))

    def _path(self, function: Callable[..., Arrays], job: Any) -> Path:
        configuration = {"function": function.__qualname__, "job": asdict(job)}
        return self.folder / f"{identity(configuration, function.__module__)}.npz"


def _make(function: Callable[..., Arrays], given: Sequence[Any], missing: tuple[Any, Path]) -> None:
    job, path = missing
    _write(function(job, *given), path)


def _write(arrays: Arrays, path: Path) -> None:
    with whole_file(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays, **{CHECKSUM: np.array(checksum(arrays, {}))})  # type: ignore[arg-type]


def _whole(path: Path) -> bool:
    """Whether a result is kept and has its checksums; of a damaged one standard error says so."""
    if not path.exists():
        return False
    try:
        _read(path)
    except DAMAGED:
        print(f"{path} is damaged and is made again", file=sys.stderr)
        return False
    return True


def _read(path: Path) -> Arrays:
    # Of a file that it opened itself NumPy forgets to close a damaged one.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    # Those of the archive's parts do not notice that a part is gone.
    if str(arrays.pop(CHECKSUM)) != checksum(arrays, {}):
        raise ValueError("its contents do not have their checksum")
    return arrays
