"""MNN: its converter's own quantization of weights, run by MNN.

ncnn is no family: its tools that quantize are not among what its package installs.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def weights(folder: str, bits: int) -> dict[str, Any]:
    """`mnnconvert --weightQuantBits` of the float file, and of each layer alone to see its weights."""
    given = shared.read(folder)
    with tempfile.TemporaryDirectory() as place:
        small = Path(place, "small.mnn")
        run = _converted(given.folder / shared.FLOAT, small, bits)
        found = {"logits": run(given.images), "bytes": small.stat().st_size}
        plain = Path(place, "float.mnn")
        floats = _converted(given.folder / shared.FLOAT, plain, 0)
        found["float_bytes"] = plain.stat().st_size
        found |= shared.in_turns(run, floats, given.images)
        for name in given.layers:
            source, target = given.folder / shared.LAYERS / f"{name}.onnx", Path(place, f"{name}.mnn")
            alone = _converted(source, target, bits)
            found[f"weight/{name}"] = given.probed(name, alone(given.probe(name)))
    return found


def _converted(source: Path, target: Path, bits: int) -> Any:
    """The file, converted, as a function of images; by the library, since the command reports its use."""
    import _tools
    import MNN

    words = {"-f": "ONNX", "--modelFile": source, "--MNNModel": target, "--bizCode": "psgd_ref"}
    if bits:
        words["--weightQuantBits"] = bits
    _tools.mnnconvert(["mnnconvert", *(str(word) for pair in words.items() for word in pair)])
    net = MNN.nn.load_module_from_file(str(target), [], [])

    def run(images: Any) -> Any:
        taken = MNN.expr.const(np.ascontiguousarray(images), images.shape, MNN.expr.NCHW)
        made = net.forward(taken)
        return np.array(MNN.expr.convert(made, MNN.expr.NCHW).read()).reshape(made.shape)

    return run


MEETINGS = {
    "MNN weightQuantBits 8": (weights, {"bits": 8}, shared.BOTH),
    "MNN weightQuantBits 4": (weights, {"bits": 4}, shared.BOTH),
    "MNN weightQuantBits 2": (weights, {"bits": 2}, shared.BOTH),
}
