"""A family without packages: what a peer may do, well and badly."""

import os
import time

import numpy as np


def nearest(w, bits):
    top = 2 ** (bits - 1) - 1
    scale = np.abs(w).max() / top if w.any() else 1.0
    return np.rint(w / scale).astype(np.int8), np.float32(scale)


def refuses(w, bits):
    raise ValueError(f"bits must be 3; got {bits}\nand more that nobody reads")


def crashes(w, bits):
    os._exit(7)


def hangs(w, bits):
    time.sleep(60)


def talks(w, bits):
    print("downloading 1 of 3")
    return w


def halves(folder):
    """Every weight halved, and the wrong logits for the first image."""
    from psgd_ref.experiments.peers.given import read

    given = read(folder)
    logits = given.logits.copy()
    logits[0] = -logits[0]
    weights = {f"weight/{name}": given.weight(name) / 2 for name in given.layers}
    return {"logits": logits, "bytes": 10, "float_bytes": 40, **weights}


def stops(folder):
    os._exit(3)


QUANTIZERS = {
    "nearest": (nearest, (4,)),
    "refuses": (refuses, (4,)),
    "crashes": (crashes, (2, 4)),
}
MEETINGS = {"halves": (halves, {}, ("net",)), "stops": (stops, {}, ("net",)), "another": (stops, {}, ("no",))}


def descends(w, g, lr, momentum=0.0):
    """SGD, its operations in another order."""
    v, after = np.zeros_like(w), []
    for gradient in g:
        v = momentum * v + w.dtype.type(lr) * gradient
        w = w - v
        after.append(w)
    return np.array(after)


def multiplies(w, g, lr):
    """s(w) = |w|; it knows no weight beyond 1000."""
    if np.abs(w).max() > 1000:
        raise NotImplementedError("weights beyond 1000")
    after = []
    for gradient in g:
        w = w - lr * np.abs(w) * gradient
        after.append(w)
    return np.array(after)


OPTIMIZERS = {
    "descends": (descends, {}, "step"),
    "multiplies": (multiplies, {}, "step"),
    "refuses": (refuses, {"bits": 4}, "step"),
}
