"""MNN, through its converter's library entry: the command line would send a record of its use."""

from pathlib import Path

import _tools
import MNN
import numpy as np

from psgd_ref.interop.runtimes.adapters.files import Images, Run, image_shape, one_by_one

CONVERTED = ("*.mnn",)


def open(path: Path) -> Run:
    """From images to logits."""
    target, shape = path.with_suffix(".mnn"), (1, *image_shape(path))
    words = {"-f": "ONNX", "--modelFile": path, "--MNNModel": target, "--bizCode": "psgd_ref"}
    _tools.mnnconvert(["mnnconvert", *(str(word) for pair in words.items() for word in pair)])
    net = MNN.nn.load_module_from_file(str(target), [], [])

    def run(image: Images) -> Images:
        taken = MNN.expr.const(image, shape, MNN.expr.NCHW)
        return np.array(net.forward(taken).read()).reshape(1, -1)

    return one_by_one(run)
