"""A peer at work: a process in an environment of its own that answers calls with arrays.

It runs where the peer's packages are installed and nothing of this package's but the folder `peers`, so it
and the families stand on the standard library and NumPy. A message is a length of eight bytes and an .npz of
that length: arrays by name, and under "message" an object in JSON.
"""

import io
import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
_HEAD = 8
_MESSAGE = "message"
_CODES = ("codes", "scale", "zero_point")


def send(stream: IO[bytes], message: dict[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a message."""
    packed = io.BytesIO()
    content: Any = {_MESSAGE: np.array(json.dumps(message)), **arrays}
    np.savez(packed, **content)
    length = packed.getbuffer().nbytes
    stream.write(length.to_bytes(_HEAD, "little") + packed.getvalue())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], Arrays]:
    """Read a message.

    Raises
    ------
    EOFError
        When the other side is gone.
    """
    length = int.from_bytes(stream.read(_HEAD), "little")
    content = stream.read(length)
    if not length or len(content) < length:
        raise EOFError("the other side is gone")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    message: dict[str, Any] = json.loads(str(arrays.pop(_MESSAGE)))
    return message, arrays


def serve(module: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer calls of a module's functions until the requests end.

    {"call": name, "options": …} with arrays is answered by what function(**arrays, **options) returns: an
    array, (codes, scale[, zero_point]), or a mapping of arrays and plain values; {"error": …} in one line
    where it raises.
    """
    family = import_module(module)
    while True:
        try:
            request, arrays = receive(requests)
        except EOFError:
            return
        try:
            found = _parts(getattr(family, request["call"])(**arrays, **request["options"]))
        except Exception as error:
            send(answers, {"error": f"{type(error).__name__}: {first_line(error)}"}, {})
            continue
        plain = {name: part for name, part in found.items() if not isinstance(part, np.ndarray)}
        send(answers, plain, {name: part for name, part in found.items() if name not in plain})


def first_line(error: object) -> str:
    """The first line of an error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _parts(result: Any) -> dict[str, Any]:
    if isinstance(result, Mapping):
        return dict(result)
    if isinstance(result, tuple):
        return {name: np.asarray(part) for name, part in zip(_CODES, result, strict=False)}
    return {"value": np.asarray(result)}


if __name__ == "__main__":
    # What a library prints must not end up among the answers.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.argv[1], sys.stdin.buffer, out)
