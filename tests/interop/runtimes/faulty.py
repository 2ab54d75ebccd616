"""A runtime with the faults that real ones have, for `test_compare`."""

import os
import time

import numpy as np
import onnxruntime


def open(path, fault):
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(images):
        logits = session.run(None, {"images": images})[0]
        return {"off": logits * 1.01, "nan": logits * np.nan, "shape": logits[:, :-1]}.get(fault, logits)

    if fault == "hangs":
        time.sleep(60)
    if fault == "dies":
        os.abort()
    if fault == "raises":
        raise RuntimeError("cannot\nread this")
    if fault == "rewrites":
        path.write_bytes(b"")
    if fault == "floats" and path.parent.name == "float":
        raise RuntimeError("not in floats")
    return run
