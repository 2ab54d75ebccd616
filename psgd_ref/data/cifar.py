"""The binary format of CIFAR: records of label bytes and 3 · 32 · 32 pixels.

CIFAR-10: label | 1,024 red | 1,024 green | 1,024 blue;  CIFAR-100: coarse label | fine label | the same

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.data.dataset import Split

CHANNELS, SIDE = 3, 32
PIXELS = CHANNELS * SIDE * SIDE


def parse_records(content: bytes, label_bytes: int, classes: int, origin: str) -> Split:
    """Images and labels from records of CIFAR's binary format.

    Parameters
    ----------
    content
        The bytes of a file.
    label_bytes
        1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine).
    classes
        Labels must be below it.
    origin
        Name of the file for the message.

    Returns
    -------
    Images (N, 32, 32, 3) and labels, the last of each record's label bytes.

    Raises
    ------
    ValueError
        For a length that is no multiple of the record's, and for labels ≥ classes.
    """
    record = label_bytes + PIXELS
    if len(content) == 0 or len(content) % record:
        raise ValueError(
            f"{origin} must be a whole number of records of {record} bytes; it has {len(content)} bytes"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = rows[:, label_bytes - 1].astype(np.intp)
    images = rows[:, label_bytes:].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), checked_labels(labels, classes, origin))


def checked_labels(labels: npt.NDArray[np.intp], classes: int, origin: str) -> npt.NDArray[np.intp]:
    """The labels, when all are below `classes`.

    Raises
    ------
    ValueError
        When one is not; the message names the file `origin`.
    """
    if len(labels) and labels.max() >= classes:
        raise ValueError(f"{origin} has label {labels.max()}; labels 0..{classes - 1} are accepted")
    return labels
