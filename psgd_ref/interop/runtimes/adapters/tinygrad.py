"""tinygrad on the CPU; it needs the program clang."""

from pathlib import Path

from tinygrad import Tensor
from tinygrad.nn.onnx import OnnxRunner

from psgd_ref.interop.runtimes.adapters.files import Run, one_by_one


def open(path: Path) -> Run:
    """From images to logits."""
    runner = OnnxRunner(path)
    (taken,) = runner.graph_inputs
    (given,) = runner.graph_outputs
    return one_by_one(lambda image: runner({taken: Tensor(image)})[given].numpy())
