"""`psgd-ref evaluate`: the accuracy of a trained model, whole, pruned and quantized."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import bit_widths, per_cents

if TYPE_CHECKING:
    from psgd_ref.compress.post_training.quantize import QuantizedModel
    from psgd_ref.nn import Model


def add(commands: Any) -> None:
    """Declare the command."""
    evaluate = commands.add_parser(
        "evaluate", help="accuracy of a run or a safetensors file, pruned, quantized"
    )
    evaluate.add_argument("path", type=Path, metavar="RUN", help="folder of a run, or safetensors file")
    evaluate.add_argument(
        "--bits", type=bit_widths, default=[8, 4, 3, 2], help="of the weights, 2 … 16 (default: 8,4,3,2)"
    )
    evaluate.add_argument(
        "--activation-bits",
        type=bit_widths,
        default=[],
        help="of the layers' inputs, 1 … 16 (default: not quantized)",
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
        help="each layer's zeros at each sparsity, and what rounding does to it at each bit-width: codes, Δ, "
        "clipped fraction, error relative to Δ²/12, λ* = 8/Δ",
    )
    add_folder(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print an object instead of a table")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from psgd_ref.compress import named_grid
    from psgd_ref.compress.post_training.activations import RULES
    from psgd_ref.compress.pruning.prune import SCOPES
    from psgd_ref.core.arguments import choice
    from psgd_ref.data import load
    from psgd_ref.training.evaluation import SPLITS, accuracies, variants
    from psgd_ref.training.runs.saved import open_model

    choice("--split", options.split, (*SPLITS, "none"))
    # Also where nothing is pruned and no activation quantized, which would not look at them.
    choice("--scope", options.scope, SCOPES)
    choice("--ranges", options.ranges, RULES)
    model, name = open_model(options.path, options.model, options.data)
    models = variants(
        model,
        options.bits,
        grid=named_grid(options.grid),
        per_channel=options.per_channel,
        sparsities=[per_cent / 100 for per_cent in options.sparsity],
        scope=options.scope,
    )
    result = {}
    # Without images there is still the report.
    if options.split != "none":
        result = accuracies(
            models,
            load(name, options.data_dir),
            split=options.split,
            reestimate=options.reestimate,
            activations=options.activation_bits,
            ranges=options.ranges,
        )
    if options.json:
        layers = {"layers": _layers(models, options)} if options.report else {}
        print(json.dumps(result | layers))
        return 0
    if result:
        print(f"{'':8} {options.split} accuracy")
    for name, accuracy in result.items():
        print(f"{name:8} {accuracy:8.2%}")
    if options.report:
        _report(models, options)
    return 0


def _layers(models: Mapping[str, "Model"], options: argparse.Namespace) -> dict[str, Any]:
    """What pruning and what rounding did to each layer, by model."""
    from psgd_ref.compress.post_training.report import layer_reports
    from psgd_ref.compress.pruning.sparsity import layer_sparsities

    pruned, quantized = _reported(models, options)
    found = {name: [vars(layer) for layer in layer_sparsities(model)] for name, model in pruned.items()}
    return found | {
        name: [vars(layer) for layer in layer_reports(models["full"], model)]
        for name, model in quantized.items()
    }


def _report(models: Mapping[str, "Model"], options: argparse.Namespace) -> None:
    from psgd_ref.compress import report, sparsity_report

    pruned, quantized = _reported(models, options)
    for name, model in pruned.items():
        print(f"\n{name}, {options.scope}\n\n{sparsity_report(model)}")
    for name, copied in quantized.items():
        print(f"\n{name}, {options.grid}\n\n{report(models['full'], copied)}")


def _reported(
    models: Mapping[str, "Model"], options: argparse.Namespace
) -> tuple[dict[str, "Model"], dict[str, "QuantizedModel"]]:
    """The models that are only pruned, and those that are only quantized."""
    from psgd_ref.compress.post_training.quantize import QuantizedModel

    widths = {f"W{bits}" for bits in options.bits}
    quantized = {
        name: model for name, model in models.items() if name in widths and isinstance(model, QuantizedModel)
    }
    pruned = {name: models[name] for name in (f"S{per_cent:g}" for per_cent in options.sparsity)}
    return pruned, quantized
