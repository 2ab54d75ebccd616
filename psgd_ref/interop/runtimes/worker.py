"""A runtime on one file, in a process of its own, which may be slow or end without a word.

Takes the adapter, its options as JSON, and a folder with model.onnx, float.onnx and images.npy; leaves
logits.npy and, as far as it came, result.json there.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from psgd_ref.interop.runtimes.adapters.files import Images, Run

# Calls of either network: so many, or for so many seconds, but not fewer than these.
CALLS, SECONDS, FEWEST = 2000, 2.0, 5


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
    """Seconds of the fastest call of each, call by call in turns: what else the machine does only adds."""
    fastest, start = [np.inf] * len(runs), perf_counter()
    for call in range(CALLS):
        if call >= FEWEST and perf_counter() - start > SECONDS:
            break
        for k, run in enumerate(runs):
            begin = perf_counter()
            run(image)
            fastest[k] = min(fastest[k], perf_counter() - begin)
    return fastest


if __name__ == "__main__":
    work(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
