"""Small data sets in the real formats, written by code of their own."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np

from psgd_ref.data.source import CifarSource, IdxSource, Remote

TRAIN, TEST = 30, 10
BATCHES = ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin")


def idx(array):
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + sizes + array.tobytes()


def cifar(images, labels):
    """Records from images (N, 32, 32, 3) and labels (N, label bytes)."""
    return b"".join(
        bytes(label) + b"".join(image[..., c].tobytes() for c in range(3))
        for image, label in zip(images, labels.tolist(), strict=True)
    )


def packed(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def remote(name, content):
    inner = hashlib.sha256(gzip.decompress(content)).hexdigest()
    return Remote(name, len(content), hashlib.sha256(content).hexdigest(), inner)


def small_mnist(mirrors=("http://127.0.0.1:9/",), name="mnist", seed=0):
    """A source of tiny images, its files by name, and what they hold."""
    rng = np.random.default_rng(seed)
    arrays = {
        f"{part}-{what}.gz": rng.integers(0, high, size, dtype=np.uint8)
        for part, count in (("train", TRAIN), ("t10k", TEST))
        for what, high, size in (
            ("images-idx3-ubyte", 256, (count, 5, 4)),
            ("labels-idx1-ubyte", 10, (count,)),
        )
    }
    files = {name: gzip.compress(idx(array), mtime=0) for name, array in arrays.items()}
    remotes = tuple(remote(name, content) for name, content in files.items())
    return IdxSource(name, 10, (5, 4, 1), (TRAIN, TEST), remotes, mirrors), files, arrays


def small_cifar(mirrors=("http://127.0.0.1:9/",)):
    """A source of three batches, its archive by name, and the contents of the batches."""
    rng = np.random.default_rng(1)
    half = TRAIN // 2
    images = [rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for n in (half, half, TEST)]
    labels = [rng.integers(0, 10, (len(batch), 1)) for batch in images]
    inside = {
        f"cifar-10-batches-bin/{name}": cifar(*batch)
        for name, *batch in zip(BATCHES, images, labels, strict=True)
    }
    archive = packed({**inside, "cifar-10-batches-bin/readme.html": b"<html>"})
    name = "cifar-10-binary.tar.gz"
    source = CifarSource(
        "cifar10",
        10,
        (32, 32, 3),
        (TRAIN, TEST),
        (remote(name, archive),),
        mirrors,
        "cifar-10-batches-bin",
        BATCHES,
        1,
    )
    return source, {name: archive}, inside, images
