"""Downloads: from the first mirror that answers, resumed where an earlier try stopped, with checksums."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pooch

from psgd_ref.data.source import Remote, Source

# Seconds until a server that does not answer, or falls silent, counts as gone.
TIMEOUT = (10, 30)
# Bytes written at a time; a broken connection loses at most this many of those that arrived.
CHUNK = 2**13


def download(source: Source, folder: Path, progress: bool | None = None) -> Path:
    """Download what is missing of a data set into folder/name and return that folder.

    When interrupted it leaves `FILE.part`, from which the next call resumes.

    Parameters
    ----------
    source
        The data set.
    folder
        Where data sets live.
    progress
        Show a bar on standard error; by default when that is a terminal.

    Raises
    ------
    ValueError
        When the downloaded file does not have the published checksum (it is deleted).
    ConnectionError
        When no mirror answers; the message says which file to put where.
    OSError
        When the file cannot be written.
    """
    place = folder / source.name
    for remote in source.files:
        _fetch_file(source, remote, place, sys.stderr.isatty() if progress is None else progress)
    return place


def _fetch_file(source: Source, remote: Remote, place: Path, progress: bool) -> None:
    problems: list[Exception] = []
    for mirror in source.mirrors:
        downloader = _Resumed(place / f"{remote.name}.part", remote.size, progress)
        while True:
            before = downloader.present
            try:
                pooch.retrieve(
                    mirror + remote.name, f"sha256:{remote.sha256}", remote.name, place, downloader=downloader
                )
                return
            except ValueError as error:
                problems.append(error)
                # The bytes of an earlier try may be bad: once more from the start.
                if before == 0:
                    break
            except OSError as error:
                # Only the operating system's errors have a number: the disk's, not the network's.
                if error.errno is not None:
                    raise
                problems.append(error)
                if downloader.present <= before:
                    break
    mismatch = next((problem for problem in problems if isinstance(problem, ValueError)), None)
    if mismatch is not None:
        raise ValueError(f"{remote.name} from {' and '.join(source.mirrors)} is refused: {mismatch}")
    raise ConnectionError(_advice(source, place, problems[-1]))


class _Resumed:
    """A downloader for pooch that keeps what has arrived in `part` and asks for the rest only."""

    def __init__(self, part: Path, size: int, progress: bool) -> None:
        self.part, self.size, self.progress = part, size, progress

    @property
    def present(self) -> int:
        """Bytes that have been downloaded already."""
        return self.part.stat().st_size if self.part.exists() else 0

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        if self.present < self.size:
            with self.part.open("ab") as file, ExitStack() as stack:

                def begin(response: Any, *args: Any, **kwargs: Any) -> None:
                    # pooch leaves the connection open when it breaks.
                    stack.callback(response.close)
                    if response.status_code != 206:
                        file.truncate(0)

                # Bytes as they are published: no server may compress or decompress them on the way.
                headers = {"Range": f"bytes={self.present}-", "Accept-Encoding": "identity"}
                pooch.HTTPDownloader(
                    self.progress, CHUNK, headers=headers, timeout=TIMEOUT, hooks={"response": begin}
                )(url, file, None)
        os.replace(self.part, output_file)


def _advice(source: Source, place: Path, problem: Exception) -> str:
    names = ", ".join(f"{remote.name} ({remote.size:,} bytes)" for remote in source.files)
    # requests wraps what happened into three errors; the innermost says it.
    reason = getattr(problem.args[0] if problem.args else None, "reason", problem)
    return (
        f"{source.name} could not be downloaded ({reason}). Put {names} from "
        f"{' or '.join(source.mirrors)} into {place}"
    )
