"""What the runtimes share: the shape that a file wants, and runs of one image at a time."""

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


def one_by_one(run: Run) -> Run:
    """Of a function that takes one image (1, …), one that takes any number."""
    return lambda images: np.concatenate([run(images[k : k + 1]) for k in range(len(images))])
