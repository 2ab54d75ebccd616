"""The reference evaluator of the package onnx: plain NumPy, slow."""

from pathlib import Path

from onnx.reference import ReferenceEvaluator

from psgd_ref.interop.runtimes.adapters.files import Run


def open(path: Path) -> Run:
    """From images to logits."""
    evaluator = ReferenceEvaluator(str(path))
    (taken,) = evaluator.input_names
    return lambda images: evaluator.run(None, {taken: images})[0]
