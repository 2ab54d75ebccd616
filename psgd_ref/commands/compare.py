"""`psgd-ref compare`: methods side by side, a table and a picture for each task."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from psgd_ref.commands.numbers import count, seed


def add(commands: Any) -> None:
    """Declare the command."""
    compare = commands.add_parser(
        "compare", help="methods side by side on one task: a table, its words and a picture"
    )
    compare.add_argument(
        "--task",
        default="quantization",
        metavar="NAME",
        help="what to compare; --list shows the tasks (default: %(default)s)",
    )
    compare.add_argument(
        "--list", action="store_true", help="list the methods of all tasks and what each needs"
    )
    compare.add_argument(
        "--methods", nargs="+", default=[], metavar="NAME", help="only these, of each kind that is named"
    )
    compare.add_argument(
        "--bits", nargs="+", default=[], metavar="WxAy", help="as W3A8, or W3 for full-precision activations"
    )
    compare.add_argument("--seeds", type=count, default=5, help="runs of each (default: %(default)s)")
    compare.add_argument("--seed", type=seed, default=0, help="the first run's seed (default: %(default)s)")
    compare.add_argument("--workers", type=count, default=None, help="processes (default: one for each core)")
    compare.add_argument("--out", type=Path, default=None, help="folder (default: out/compare/TASK)")
    compare.add_argument("--json", action="store_true", help="print the rows as JSON instead of the tables")
    compare.add_argument(
        "--search",
        action="store_true",
        help="choose the task's hyper-parameters anew, on validation images (many minutes)",
    )
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.comparisons import tasks

    if options.list:
        found = tasks.catalogue()
        print(json.dumps(found, indent=1, ensure_ascii=False) if options.json else tasks.listing())
        return 0
    task = tasks.task_of(options.task)
    folder = options.out or Path("out/compare") / options.task
    # A folder that cannot be made is found out before minutes of work, not after.
    folder.mkdir(parents=True, exist_ok=True)
    if options.search:
        record = tasks.search(options.task, options.workers)
        print(json.dumps(record.as_json(), indent=1, ensure_ascii=False))
        print(f"search: {record.save(folder)}", file=sys.stderr)
        return 0
    seeds = range(options.seed, options.seed + options.seeds)
    rows = task.run(seeds, options.methods, options.bits, options.workers)
    paths = tasks.save(task, rows, folder)
    printed = tasks.as_json(rows) if options.json else task.table(rows)
    print(json.dumps(printed, indent=2, ensure_ascii=False) if options.json else printed)
    print("\n".join(f"{name}: {path}" for name, path in paths.items()), file=sys.stderr)
    return 0
