"""What the runtimes share: the shape that a file wants, and runs of one image at a time."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Run = Callable[[Images], npt.NDArray[Any]]


def image_shape(path: Path) -> tuple[int, ...]:
    """The shape of one image in the input of an ONNX file, without the batch."""
    import onnx

    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims[1:])


def convert(program: str, *words: str, folder: Path) -> None:
    """Run a converter in a folder, one beside this Python or on the path.

    Raises ValueError, with its last words, when it is not there or fails.
    """
    beside = shutil.which(program, path=str(Path(sys.executable).parent))
    path = beside or shutil.which(program)
    if path is None:
        raise ValueError(f"its converter {program} is not installed")
    done = subprocess.run([path, *words], cwd=folder, capture_output=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        raise ValueError(f"{program} failed: {said[-1] if said else done.returncode}")


def one_by_one(run: Run) -> Run:
    """Of a function that takes one image (1, …), one that takes any number."""
    return lambda images: np.concatenate([run(images[k : k + 1]) for k in range(len(images))])
