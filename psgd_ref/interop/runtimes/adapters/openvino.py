"""OpenVINO on the CPU, on one thread, in the precision that it chooses unless it is told."""

from pathlib import Path

import openvino

from psgd_ref.interop.runtimes.adapters.files import Run


def open(path: Path, **settings: str) -> Run:
    """From images to logits.

    Parameters
    ----------
    settings
        Of the compiled model, as EXECUTION_MODE_HINT="ACCURACY".
    """
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1, **settings})
    return lambda images: compiled(images)[0]
