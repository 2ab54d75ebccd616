"""`psgd-ref evaluate`: the accuracy of a trained model, whole, pruned and quantized."""

import argparse
import json
from pathlib import Path
from typing import Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import per_cents, wholes


def add(commands: Any) -> None:
    """Declare the command."""
    evaluate = commands.add_parser(
        "evaluate", help="accuracy of a run or a safetensors file, pruned, quantized"
    )
    evaluate.add_argument("path", type=Path, metavar="RUN", help="folder of a run, or safetensors file")
    evaluate.add_argument(
        "--weights", type=wholes, default=[8, 4, 3, 2], help="bits, 2 … 16 (default: 8,4,3,2)"
    )
    evaluate.add_argument(
        "--activations",
        type=wholes,
        default=[],
        help="bits of the layers' inputs, 1 … 16 (default: not quantized)",
    )
    evaluate.add_argument(
        "--ranges",
        default="max",
        help="where the inputs' grids end: max, ema, mse or aciq of training images, or batch-norm, which "
        "looks at none (default: %(default)s)",
    )
    evaluate.add_argument(
        "--sparsity",
        type=per_cents,
        default=[],
        help="per cent of the weights to prune by magnitude, as 50,80,90 (default: not pruned)",
    )
    evaluate.add_argument(
        "--scope",
        default="global",
        help="what pruning ranks together: all weights, global, or those of a layer (default: %(default)s)",
    )
    evaluate.add_argument(
        "--split",
        default="test",
        help="train, validation or test images; none: only the report (default: %(default)s)",
    )
    evaluate.add_argument(
        "--grid", default="min-max", help="min-max, mse, aciq or adaptivfloat (default: %(default)s)"
    )
    evaluate.add_argument("--per-channel", action="store_true", help="a grid for each output channel")
    evaluate.add_argument(
        "--reestimate", action="store_true", help="batch-norm statistics anew for each, on training images"
    )
    evaluate.add_argument("--model", default=None, help="of a file that is not of this package, as resnet32")
    evaluate.add_argument("--data", default=None, help="data set of such a file, as cifar100")
    evaluate.add_argument(
        "--report",
        action="store_true",
        help="each layer's zeros at each sparsity, and what each width does to it: codes, Δ, clipped share, "
        "error relative to Δ²/12, λ* = 8/Δ",
    )
    add_folder(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print an object instead of a table")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from psgd_ref.compress import named_grid, prune, quantize, report, sparsity_report
    from psgd_ref.compress.post_training.activations import RULES
    from psgd_ref.compress.post_training.report import layer_reports
    from psgd_ref.compress.pruning.prune import SCOPES
    from psgd_ref.compress.pruning.sparsity import layer_sparsities
    from psgd_ref.core.arguments import choice
    from psgd_ref.data import load
    from psgd_ref.training.evaluation import evaluate
    from psgd_ref.training.runs.saved import open_model

    # Also where nothing is pruned and no activation quantized, which would not look at them.
    choice("--scope", options.scope, SCOPES)
    choice("--ranges", options.ranges, RULES)
    grid, channels = named_grid(options.grid), options.per_channel
    model, name = open_model(options.path, options.model, options.data)
    # Without images there is still the report.
    result = (
        {}
        if options.split == "none"
        else evaluate(
            model,
            load(name, options.data_dir),
            options.weights,
            split=options.split,
            grid=grid,
            per_channel=channels,
            reestimate=options.reestimate,
            activations=options.activations,
            sparsities=[per_cent / 100 for per_cent in options.sparsity],
            scope=options.scope,
            ranges=options.ranges,
        )
    )
    shares, widths = (options.sparsity, options.weights) if options.report else ([], [])
    pruned = {f"S{share:g}": prune(model, share / 100, options.scope) for share in shares}
    quantized = {f"W{bits}": quantize(model, bits, grid, channels) for bits in widths}
    if options.json:
        layers = {
            name: [vars(layer) for layer in layer_sparsities(copied)] for name, copied in pruned.items()
        }
        layers |= {name: [vars(layer) for layer in layer_reports(model, q)] for name, q in quantized.items()}
        print(json.dumps(result | ({"layers": layers} if options.report else {})))
        return 0
    if result:
        print(f"{'':8} {options.split} accuracy")
    for name, accuracy in result.items():
        print(f"{name:8} {accuracy:8.2%}")
    for name, sparse in pruned.items():
        print(f"\n{name}, {options.scope}\n\n{sparsity_report(sparse)}")
    for name, copied in quantized.items():
        print(f"\n{name}, {options.grid}\n\n{report(model, copied)}")
    return 0
