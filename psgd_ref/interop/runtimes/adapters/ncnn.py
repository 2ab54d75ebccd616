"""ncnn, through its converter pnnx, which keeps weights in half precision unless it is told otherwise."""

import subprocess
import sys
from pathlib import Path

import ncnn
import numpy as np

from psgd_ref.interop.runtimes.adapters.files import Images, Run, image_shape, one_by_one

CONVERTED = ("*.ncnn.bin", "*.ncnn.param")


def open(path: Path, half: bool = True) -> Run:
    """From images to logits.

    Parameters
    ----------
    half
        Whether weights are kept and stored in half precision, as by default.
    """
    converter = Path(sys.executable).with_name("pnnx")
    shape = ",".join(map(str, (1, *image_shape(path))))
    words = [str(converter), path.name, f"inputshape=[{shape}]", f"fp16={int(half)}"]
    subprocess.run(words, cwd=path.parent, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
