"""tract, which is asked for one image at a time."""

from pathlib import Path

import tract

from psgd_ref.interop.runtimes.adapters.files import Run, image_shape, one_by_one


def open(path: Path) -> Run:
    """From images to logits."""
    model = tract.onnx().load(path)
    model.set_input_fact(0, ",".join(map(str, (1, *image_shape(path), "f32"))))
    runnable = model.into_model().into_runnable()
    return one_by_one(lambda image: runnable.run([image])[0].to_numpy())
