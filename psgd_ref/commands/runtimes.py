"""`psgd-ref runtimes`: exported networks in every runtime that is installed."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import count, seconds


def add(commands: Any) -> None:
    """Declare the command."""
    runtimes = commands.add_parser(
        "runtimes",
        help="run exported ONNX files in every runtime that is installed, and compare",
        description="Runs each file in each runtime, in a process of its own, and prints the largest error "
        "against a float64 emulation of the file's numbers, the predictions that differ, the size, and the "
        "time relative to the same network in float32. What is wrong is named with what mends it.",
    )
    runtimes.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="as `psgd-ref export` writes it"
    )
    runtimes.add_argument(
        "--data",
        default=None,
        help="data set whose validation images are run (default: numbers from a normal distribution)",
    )
    runtimes.add_argument("--images", type=count, default=200, help="how many (default: %(default)s)")
    runtimes.add_argument(
        "--limit", type=seconds, default=300.0, help="seconds that a runtime has (default: %(default)s)"
    )
    runtimes.add_argument("--out", type=Path, metavar="FOLDER", help="write table.md and runtimes.json there")
    add_folder(runtimes)
    runtimes.add_argument("--json", action="store_true", help="print an object instead of tables")
    runtimes.set_defaults(run=_runtimes)


def _runtimes(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from psgd_ref.interop.deployment.onnx_reading import read_onnx
    from psgd_ref.interop.runtimes import known
    from psgd_ref.interop.runtimes.compare import compare
    from psgd_ref.interop.runtimes.table import circumstances, markdown, record
    from psgd_ref.interop.whole_file import write_json, write_text

    try:
        shapes = {path: read_onnx(path)[1] for path in options.files}
    except ImportError:
        raise ValueError("ONNX needs the package onnx: pip install 'psgd_ref[export]'") from None
    found, texts = [], []
    for path, shape in shapes.items():
        images = _images(options, shape)
        results = list(
            tqdm(
                compare(path, images, options.limit, known.SETTINGS),
                path.name,
                len(known.SETTINGS),
                unit="runtime",
                leave=False,
                disable=None,
            )
        )
        found.append(record(path, len(images), results))
        head = f"{path.name}: {path.stat().st_size:,} bytes, {len(images)} images"
        texts.append(f"{head}\n\n{markdown(results)}")
        if not options.json:
            print(texts[-1], flush=True)
        whole = {**circumstances(), "data": options.data, "files": found}
        if options.out is not None:
            # After each file: the next may take minutes.
            options.out.mkdir(parents=True, exist_ok=True)
            write_json(options.out / "runtimes.json", whole)
            write_text(options.out / "table.md", _page(whole, texts))
    if options.json:
        print(json.dumps(whole, indent=2))
    if options.out is not None:
        print(f"runtimes: {options.out / 'table.md'}", file=sys.stderr)
    return 0


def _page(whole: dict[str, Any], texts: list[str]) -> str:
    cpu = ", ".join(whole["cpu"]) or "unknown"
    return f"Measured on {whole['date']}, {whole['machine']} with {cpu}.\n\n" + "\n".join(texts)


def _images(options: argparse.Namespace, shape: tuple[int, ...]) -> Any:
    import numpy as np

    from psgd_ref.data import load
    from psgd_ref.interop.deployment.prepare import channels_first

    if options.data is None:
        return np.random.default_rng(0).normal(size=(options.images, *shape)).astype(np.float32)
    data = load(options.data, options.data_dir)
    return channels_first(data.normalise(data.validation.images[: options.images]))
