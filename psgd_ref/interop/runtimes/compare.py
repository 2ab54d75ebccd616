"""One ONNX file in every runtime that is installed, against the float64 emulation of its own numbers."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from psgd_ref.interop.deployment.emulation import emulate
from psgd_ref.interop.deployment.network import in_floats
from psgd_ref.interop.deployment.onnx_file import TOLERANCE, onnx_bytes
from psgd_ref.interop.deployment.onnx_reading import read_onnx
from psgd_ref.interop.runtimes.known import SETTINGS, Setting, named

TINY = float(np.finfo(np.float32).tiny)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Result:
    """What a runtime did with a file.

    Parameters
    ----------
    runtime, switch, versions
        What ran.
    reason
        Why there is nothing else; empty where it ran.
    error
        Largest difference of a logit from the emulation's, relative to the largest logit.
    differ
        Images whose predicted class is another.
    bytes
        Of the file, or of what the runtime's converter made of it.
    seconds, float_seconds
        Of the fastest call for one image, and for one through the same network in float32, taken in turns;
        None where the latter does not run.
    """

    runtime: str
    switch: str
    versions: str
    reason: str = ""
    error: float | None = None
    differ: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    float_seconds: float | None = None

    @property
    def name(self) -> str:
        """The runtime and what is set."""
        return named(self.runtime, self.switch)

    @property
    def right(self) -> bool:
        """Whether it ran, and its logits are the emulation's up to rounding."""
        return self.error is not None and self.error <= TOLERANCE

    @property
    def ratio(self) -> float | None:
        """Time relative to the same network in float32."""
        if self.seconds is None or self.float_seconds is None:
            return None
        return self.seconds / self.float_seconds


def compare(
    path: Path,
    images: npt.NDArray[np.float32],
    limit: float = 300.0,
    settings: Sequence[Setting] = SETTINGS,
) -> Iterator[Result]:
    """Run the file in every runtime, each in a process of its own, and say what came out, one by one.

    Parameters
    ----------
    path
        An ONNX file in the form of `export_onnx`.
    images
        As the file takes them, (N, C, H, W) or (N, I).
    limit
        Seconds that a runtime has.

    Raises
    ------
    ValueError, OSError
        As `read_onnx`, and for images of another shape.
    """
    network, shape = read_onnx(path)
    if images.shape[1:] != shape or len(images) == 0:
        raise ValueError(f"{path} takes images of shape {shape}; got {images.shape}")
    wanted = emulate(network, images)
    contents = {"model.onnx": path.read_bytes(), "float.onnx": onnx_bytes(in_floats(network), shape)[0]}
    for setting in settings:
        if setting.missing:
            reason = f"not installed: {', '.join(setting.missing)}"
            yield Result(setting.runtime, setting.switch, "", reason)
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, content in contents.items():
                (folder / file).write_bytes(content)
            np.save(folder / "images.npy", images)
            yield _result(setting, folder, wanted, _run(setting, folder, limit))


def _run(setting: Setting, folder: Path, limit: float) -> str:
    """What went wrong in the process, in one line; empty when nothing did."""
    words = ["-m", f"{__package__}.worker", setting.adapter, json.dumps(setting.options), str(folder)]
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env=os.environ | dict.fromkeys(THREADS, "1"),
        )
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        _end(process)
        return f"took longer than {limit:g} s"
    except BaseException:
        _end(process)
        raise
    if status < 0:
        return f"ended by signal {-status}"
    lines = (folder / "errors").read_text(errors="replace").strip().splitlines()
    return "" if status == 0 else _short(lines[-1] if lines else f"ended with status {status}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and what it has started, such as a converter."""
    if os.name == "posix":
        os.killpg(process.pid, 9)
    else:
        process.kill()
    process.wait()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:157]}…"


def _result(setting: Setting, folder: Path, wanted: npt.NDArray[np.float64], problem: str) -> Result:
    result = Result(setting.runtime, setting.switch, setting.versions)
    if not (folder / "result.json").exists():
        return replace(result, reason=problem or "gave no logits")
    logits = np.load(folder / "logits.npy")
    if logits.shape != wanted.shape:
        return replace(result, reason=f"gave logits of shape {logits.shape}, not {wanted.shape}")
    result = replace(result, **json.loads((folder / "result.json").read_text()))
    if not np.isfinite(logits).all():
        return replace(result, reason="gave NaN or infinity")
    error = float(np.abs(logits - wanted).max()) / max(float(np.abs(wanted).max()), TINY)
    return replace(result, error=error, differ=int((logits.argmax(1) != wanted.argmax(1)).sum()))


def remarks(results: Sequence[Result]) -> list[str]:
    """A line for every runtime that is wrong at its defaults: by how much, and what mends it."""
    hints = {setting.runtime: setting.hint for setting in SETTINGS if not setting.switch}
    found = []
    for result in results:
        if result.switch or result.bytes is None or result.right:
            continue
        same = (other for other in results if other.runtime == result.runtime and other.right)
        mends = [other.switch for other in same]
        advice = f"{' or '.join(mends)} mends it" if mends else hints[result.runtime] or "no switch mends it"
        wrong = result.reason or f"is off by {result.error:.1e}, {result.differ} predictions differ"
        found.append(f"{result.runtime} {wrong}: {advice}")
    return found
