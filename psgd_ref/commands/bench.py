"""`psgd-ref bench`: time the kernels, against PyTorch where it is installed."""

import argparse
import json
import sys
from typing import Any

from psgd_ref.commands.numbers import count


def add(commands: Any) -> None:
    """Declare the command."""
    bench = commands.add_parser("bench", help="time the kernels, against PyTorch where it is installed")
    bench.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="cases whose name holds one of these words"
    )
    bench.add_argument("--turns", type=count, default=5, help="turns of each side (default: %(default)s)")
    bench.add_argument(
        "--threads", type=count, default=None, help="threads of each side (default: one for each core)"
    )
    bench.add_argument("--list", action="store_true", help="list the cases")
    bench.add_argument("--json", action="store_true", help="print the numbers as JSON instead of the table")
    bench.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    from psgd_ref.experiments import bench

    if options.list:
        print("\n".join(case.name for case in bench.select(options.only)))
        return 0
    if not bench.has_torch():
        print("PyTorch is not installed (pip install 'psgd_ref[compare]'): our side alone", file=sys.stderr)
    result = bench.run(options.only, options.turns, options.threads)
    print(json.dumps(result.as_json(), indent=1) if options.json else result.table())
    return 0
