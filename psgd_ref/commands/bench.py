"""`psgd-ref bench`: time the kernels, against PyTorch where it is installed; how a step's cost grows."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from psgd_ref.commands.numbers import count


def add(commands: Any) -> None:
    """Declare the command."""
    bench = commands.add_parser(
        "bench",
        help="time the kernels, against PyTorch where it is installed",
        description="Times training steps, layers and the optimiser in turns with PyTorch where it is "
        "installed. With --growth: how the time and memory of a step grow with batch, width, depth and "
        "threads of a ResNet-20, and those of PSGD's step alone with the number of weights. With --where: "
        "which layers and passes of a ResNet-32 step take the time.",
    )
    bench.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="WORD",
        help="cases (with --growth: axes) whose name holds one of these words",
    )
    bench.add_argument(
        "--growth",
        type=Path,
        metavar="FOLDER",
        help="measure growth instead, some five minutes; picture (PNG, SVG) and numbers (JSON)",
    )
    bench.add_argument(
        "--where",
        type=Path,
        metavar="FOLDER",
        help="measure instead where the time of a ResNet-32 step goes; picture (PNG, SVG) and numbers (JSON)",
    )
    bench.add_argument(
        "--against",
        nargs="+",
        default=[],
        type=Path,
        metavar="BUILD",
        help="other builds of this package to time in the same run: wheels or checkouts",
    )
    bench.add_argument(
        "--peers", action="store_true", help="time torch.compile and JAX too, where they are installed"
    )
    bench.add_argument("--compile", action="store_true", help="say instead what compiling each kernel costs")
    bench.add_argument("--turns", type=count, default=5, help="turns of each side (default: %(default)s)")
    bench.add_argument(
        "--threads", type=count, default=None, help="threads of each side (default: one for each core)"
    )
    bench.add_argument(
        "--keep-memory",
        action="store_true",
        help="let the C library (glibc) keep freed memory in both processes, which speeds PyTorch up",
    )
    bench.add_argument("--list", action="store_true", help="list the cases")
    bench.add_argument("--json", action="store_true", help="print the numbers as JSON instead of the table")
    bench.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.benchmark import speed as bench

    if options.growth is not None:
        return _growth(options)
    if options.where is not None:
        return _where(options)
    if options.list:
        return _names([case.name for case in bench.select(options.only)], options.json)
    if options.compile:
        from psgd_ref.experiments.benchmark import compiling

        found = compiling.measure()
        print(json.dumps(found, indent=1) if options.json else compiling.table(found))
        return 0
    if not bench.has("torch"):
        print("PyTorch is not installed (pip install 'psgd_ref[compare]'): it takes no part", file=sys.stderr)
    result = bench.run(
        options.only,
        options.turns,
        options.threads,
        options.keep_memory,
        options.peers,
        options.against,
    )
    print(json.dumps(result.as_json(), indent=1) if options.json else result.table())
    return 0


def _growth(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.benchmark import growth

    axes = growth.select(options.only)
    if options.list:
        return _names(axes, options.json)
    # A folder that cannot be made is found out before minutes of work, not after.
    options.growth.mkdir(parents=True, exist_ok=True)
    result = growth.run(axes)
    return _report(result, growth.save(result, options.growth), options.json)


def _where(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.benchmark import breakdown

    if options.list or options.only:
        raise ValueError("--where measures one network, and has no cases to list or to choose from")
    options.where.mkdir(parents=True, exist_ok=True)
    found = breakdown.measure()
    return _report(found, breakdown.save(found, options.where), options.json)


def _report(result: Any, paths: dict[str, Path], as_json: bool) -> int:
    if as_json:
        print(json.dumps(result.as_json(), indent=1))
    else:
        print("\n".join(f"{name}: {path}" for name, path in paths.items()))
        print(result.table())
    return 0


def _names(names: Iterable[str], as_json: bool) -> int:
    print(json.dumps(list(names), ensure_ascii=False) if as_json else "\n".join(names))
    return 0
