"""`psgd-ref export`: a trained network as a file of integers, for runtimes, compilers, or this package."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import whole

FORMATS = {".onnx": "onnx", ".h": "c", ".safetensors": "safetensors"}
# Images that ranges of activations are measured on, and that the written file is tried on.
OBSERVED, TRIED = 1000, 64


def add(commands: Any) -> None:
    """Declare the command."""
    export = commands.add_parser(
        "export",
        help="write a trained network as ONNX, a C header or packed safetensors, its weights as integers",
        description="Quantizes a run's network and writes it. An ONNX file takes `images`, (N, C, H, W), "
        "normalised as in training; a C header has psgd_run(images, logits); psgd_ref.load_model reads "
        "safetensors.",
    )
    export.add_argument("path", type=Path, metavar="RUN", help="a run's folder, a checkpoint, or safetensors")
    export.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="ends in .onnx, .h or .safetensors"
    )
    export.add_argument(
        "--bits",
        type=whole,
        default=None,
        help="of the weights, 2 … 8, of safetensors to 16; without it floats",
    )
    export.add_argument(
        "--activation-bits", type=whole, default=None, help="also round the layers' inputs, 1 … 8"
    )
    export.add_argument("--grid", default="min-max", help="min-max, mse or aciq (default: %(default)s)")
    export.add_argument("--per-channel", action="store_true", help="a grid for each output channel")
    export.add_argument(
        "--container",
        default="int8",
        help="int8, which every runtime reads, or int4 or int2, which few do (default: %(default)s)",
    )
    export.add_argument("--model", default=None, help="of a file that is not of this package, as resnet32")
    export.add_argument("--data", default=None, help="data set of such a file, as cifar100")
    add_folder(export)
    export.add_argument("--json", action="store_true", help="print an object instead of a line")
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from psgd_ref.compress import named_grid
    from psgd_ref.core.arguments import choice, whole_number
    from psgd_ref.data import load
    from psgd_ref.interop import save
    from psgd_ref.interop.deployment.c_header import export_c
    from psgd_ref.interop.deployment.onnx_file import check_container, export_onnx
    from psgd_ref.interop.deployment.prepare import prepare
    from psgd_ref.training.runs.saved import open_model

    kind = FORMATS[choice("the ending of --out", options.out.suffix, tuple(FORMATS))]
    if options.bits is not None:
        whole_number("bits", options.bits, 2, 16 if kind == "safetensors" else 8)
    check_container(options.container, options.bits if kind == "onnx" else None)
    if kind != "onnx" and options.container != "int8":
        raise ValueError(f"container {options.container} is for ONNX files; got {options.out}")
    model, name = open_model(options.path, options.model, options.data)
    data = load(name, options.data_dir)
    observed = data.normalise(data.train.images[:OBSERVED])
    prepared = prepare(
        model, observed, options.bits, options.activation_bits, named_grid(options.grid), options.per_channel
    )
    tried = observed[:TRIED]
    result: dict[str, Any] = {}
    if kind == "c":
        export_c(prepared, options.out, tried)
    elif kind == "safetensors":
        save(prepared, options.out)
    else:
        try:
            written = export_onnx(prepared, options.out, tried, container=options.container)
        except ImportError:
            raise ValueError("ONNX needs the package onnx: pip install 'psgd_ref[export]'") from None
        result = {"error": written.error, "warnings": list(written.warnings)}
    result = {"path": str(options.out), "bytes": options.out.stat().st_size, **result}
    for warning in result.get("warnings", ()):
        print(f"psgd-ref export: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps(result))
        return 0
    error = result.get("error")
    checked = f", within {error:.0e} of its own numbers in onnxruntime" if error is not None else ""
    print(f"{result['path']}: {result['bytes']:,} bytes{checked}")
    return 0
