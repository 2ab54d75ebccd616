"""onnxruntime, at any level of its graph optimisations, on one thread."""

from pathlib import Path

import onnxruntime

from psgd_ref.interop.runtimes.adapters.files import Run


def open(path: Path, level: str = "ORT_ENABLE_ALL", **entries: str) -> Run:
    """From images to logits.

    Parameters
    ----------
    level
        Of the optimisations, by onnxruntime's name.
    entries
        Of the session's configuration, as disable_quant_qdq="1".
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda images: session.run(None, {taken.name: images})[0]
