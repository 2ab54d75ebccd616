"""A runtime on one file, in a process of its own, which may be slow or end without a word.

Takes the adapter, its options as JSON, and a folder with model.onnx, float.onnx and images.npy; leaves
logits.npy and, as far as it came, result.json there.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from psgd_ref.interop.runtimes.adapters.files import Images, Run

# Turns of either network, and how long one of them lasts at least, in seconds.
TURNS, TURN = 7, 0.05


def work(adapter: str, options: dict[str, str | bool], folder: Path) -> None:
    """Run both files, and write what was found."""
    module, images = importlib.import_module(adapter), np.load(folder / "images.npy")
    runs = []
    result: dict[str, object] = {}
    for name in ("model", "float"):
        # Some converters write into the folder of their input, and into the input itself.
        place = folder / name
        place.mkdir()
        path = Path(shutil.copy(folder / f"{name}.onnx", place))
        run: Run = module.open(path, **options)
        logits = run(images)
        runs.append(run)
        if name == "model":
            np.save(folder / "logits.npy", logits)
            patterns = getattr(module, "CONVERTED", (path.name,))
            files = {file for pattern in patterns for file in place.glob(pattern)}
            result = {"bytes": sum(file.stat().st_size for file in files)}
            (folder / "result.json").write_text(json.dumps(result))
    seconds = _in_turns(runs, images[:1])
    result |= {"seconds": seconds[0], "float_seconds": seconds[1]}
    (folder / "result.json").write_text(json.dumps(result))


def _in_turns(runs: list[Run], image: Images) -> list[float]:
    """Median seconds of a call of each, taken in turns, so that a busy machine is busy for all."""
    calls = [max(1, round(TURN / _seconds(run, image, 1))) for run in runs]
    turns = [
        [_seconds(run, image, count) / count for run, count in zip(runs, calls, strict=True)]
        for _ in range(TURNS)
    ]
    return [median(turn) for turn in zip(*turns, strict=True)]


def _seconds(run: Run, image: Images, calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        run(image)
    return perf_counter() - start


if __name__ == "__main__":
    work(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
