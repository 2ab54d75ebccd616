"""LiteRT, through onnx2tf, which writes float32 and puts channels last; it also rewrites its input."""

import shutil
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from psgd_ref.interop.runtimes.adapters.files import Images, Run, convert, one_by_one

CONVERTED = ("litert/*float32.tflite",)


def open(path: Path) -> Run:
    """From images to logits."""
    folder = path.with_name("litert")
    folder.mkdir()
    copy = Path(shutil.copy(path, folder))
    convert("onnx2tf", "-i", copy.name, "-o", ".", folder=folder)
    (converted,) = folder.glob("*float32.tflite")
    interpreter = Interpreter(str(converted), num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(image: Images) -> Images:
        last = image.transpose(0, 2, 3, 1) if image.ndim == 4 else image
        interpreter.set_tensor(taken["index"], np.ascontiguousarray(last))
        interpreter.invoke()
        logits: Images = interpreter.get_tensor(given["index"])
        return logits

    return one_by_one(run)
