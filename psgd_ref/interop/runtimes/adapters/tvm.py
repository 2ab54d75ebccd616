"""TVM's relax, compiled by LLVM without tuning."""

from pathlib import Path

import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from psgd_ref.interop.runtimes.adapters.files import Images, Run, image_shape, one_by_one


def open(path: Path) -> Run:
    """From images to logits."""
    model = onnx.load(path)
    taken = model.graph.input[0].name
    module = from_onnx(model, shape_dict={taken: [1, *image_shape(path)]}, keep_params_in_input=False)
    machine = relax.VirtualMachine(relax.build(module, tvm.target.Target("llvm")), tvm.cpu())

    def run(image: Images) -> Images:
        logits: Images = machine["main"](tvm.runtime.tensor(image)).numpy()
        return logits

    return one_by_one(run)
