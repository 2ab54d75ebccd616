"""ncnn, through its converter pnnx, which keeps weights in half precision unless it is told otherwise."""

from pathlib import Path

import ncnn
import numpy as np

from psgd_ref.interop.runtimes.adapters.files import Images, Run, convert, image_shape, one_by_one

CONVERTED = ("*.ncnn.bin", "*.ncnn.param")


def open(path: Path, half: bool = True) -> Run:
    """From images to logits.

    Parameters
    ----------
    half
        Whether weights are kept and stored in half precision, as by default.
    """
    shape = ",".join(map(str, (1, *image_shape(path))))
    convert("pnnx", path.name, f"inputshape=[{shape}]", f"fp16={int(half)}", folder=path.parent)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_storage = half
    for load, end in ((net.load_param, "param"), (net.load_model, "bin")):
        if load(str(path.with_name(f"{path.stem}.ncnn.{end}"))) != 0:
            raise ValueError("ncnn does not load what pnnx has written")

    def run(image: Images) -> Images:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]).clone())
        return np.array(extractor.extract("out0")[1], np.float32).reshape(1, -1)

    return one_by_one(run)
