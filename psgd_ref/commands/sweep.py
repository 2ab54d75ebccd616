"""`psgd-ref sweep`: training runs from one file on processes or a cluster, killed and resumed at will."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import count

EXAMPLE = """\
The file holds options of `psgd-ref train`; a list stands for one run with each of its values:

  data = "digits"
  seed = [0, 1, 2]
  lr = [0.1, 0.3]

  [methods.sgd]          # methods are optional: more options, lists here too
  optimizer = "sgd"
  [methods.psgd]
  bits = [3, 2]

  [evaluate]             # how each model is measured; what stands here is the default
  bits = [8, 4, 3, 2]
  activations = []
  grids = ["min-max"]    # also "mse", "aciq", "adaptivfloat"
  reestimate = false     # batch norms; or true, or both
  per_channel = false
  sparsities = []        # per cent to prune first;  scope = "global" or "layer"
  split = "validation"   # choose on these; "test" is for the end

Results are in FOLDER/results.sqlite, one row a run. The same command goes on with a sweep that was
killed, and computes what was added to the file.
"""


def add(commands: Any) -> None:
    """Declare the command."""
    sweep = commands.add_parser(
        "sweep",
        help="many training runs from one file, on processes or a dask cluster",
        description="Train and evaluate every combination of options in a file.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sweep.add_argument("config", type=Path, metavar="FILE", help="TOML file of options, see below")
    sweep.add_argument(
        "--out", type=Path, default=None, metavar="FOLDER", help="(default: out/sweep/ and the file's name)"
    )
    sweep.add_argument(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="of a dask cluster, as tcp://host:8786; local: one on this computer (default: processes)",
    )
    sweep.add_argument("--workers", type=count, default=None, help="processes (default: one for each core)")
    sweep.add_argument("--status", action="store_true", help="only say how far it is; it may be running")
    sweep.add_argument("--retry", action="store_true", help="try runs again that failed")
    add_folder(sweep)
    sweep.add_argument(
        "--json", action="store_true", help="print one object for each run, a line each, as a list"
    )
    sweep.set_defaults(run=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.sweeps.driver import run, status
    from psgd_ref.experiments.sweeps.engines import engine
    from psgd_ref.experiments.sweeps.plan import read_plan
    from psgd_ref.experiments.sweeps.table import summary, table

    runs = read_plan(options.config)
    folder = options.out or Path("out/sweep") / options.config.stem
    if options.status:
        found = status(runs, folder)
    else:
        executor = engine(options.scheduler, options.workers)
        try:
            found = run(runs, folder, executor, options.data_dir, options.retry)
        except KeyboardInterrupt:
            print("psgd-ref sweep: the same command goes on with what is left", file=sys.stderr)
            raise
    print(_lines(found.as_json()) if options.json else table(found))
    print(summary(found), file=sys.stderr)
    if options.status:
        return 0
    if found.left:
        print("psgd-ref sweep: not all runs have ended; the same command goes on", file=sys.stderr)
    return 1 if found.left or found.failed else 0


def _lines(runs: list[dict[str, Any]]) -> str:
    """A list in JSON with a line for each run."""
    return "[\n" + ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs) + "\n]"
