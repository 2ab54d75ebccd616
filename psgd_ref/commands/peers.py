"""`psgd-ref peers`: public quantizers, pipelines and optimizers, each in an environment of its own."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    peers = commands.add_parser(
        "peers",
        help="public quantizers, pipelines and optimizers: what they are, and what becomes of a network",
        description="Installs each family's pinned packages into an environment in the user's cache "
        "(PyTorch's is a large download), runs every peer in a process of its own, and writes records, a "
        "table and a picture. A peer that cannot be installed, crashes or hangs becomes a row that says so.",
    )
    peers.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this family; repeatable, see --list"
    )
    peers.add_argument("--out", type=Path, default=Path("out/peers"), help="folder (default: %(default)s)")
    peers.add_argument("--list", action="store_true", help="list the families and what each pins")
    peers.add_argument(
        "--redraw", action="store_true", help="run nothing: make table and picture from the records in --out"
    )
    peers.add_argument("--json", action="store_true", help="print the records as JSON instead of the table")
    peers.set_defaults(run=_peers)


def _peers(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.peers import registry, run
    from psgd_ref.experiments.peers.table import page

    families = [registry.family(name) for name in options.only] or list(registry.FAMILIES)
    if options.list:
        return _listed(families, options.json)
    # A folder that cannot be made is found out before minutes of work, not after.
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.redraw:
        run.run(families, options.out, lambda line: print(line, file=sys.stderr, flush=True))
    records = run.read(options.out)
    if not records:
        raise ValueError(f"--out must hold records to make a table of; {options.out} has none")
    paths = run.save(records, options.out)
    shown = json.dumps(records, indent=1, ensure_ascii=False) if options.json else page(records)
    print(shown, end="" if shown.endswith("\n") else "\n")
    print("\n".join(f"{name}: {path}" for name, path in paths.items()), file=sys.stderr)
    return 0


def _listed(families: list[Any], as_json: bool) -> int:
    pins = {family.name: list(family.requirements) for family in families}
    lines = (f"{name}: {' '.join(requirements)}" for name, requirements in pins.items())
    print(json.dumps(pins, indent=1) if as_json else "\n".join(lines))
    return 0
