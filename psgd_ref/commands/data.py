"""`psgd-ref data`: list, fetch and check the data sets."""

import argparse
import json
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    data = commands.add_parser("data", help="list, fetch and check the data sets")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, run, text in (
        ("list", _list, "what there is, and where it lies"),
        ("fetch", _fetch, "download a data set, going on where an earlier try stopped"),
        ("check", _check, "read a data set and compare its files with the published checksums"),
    ):
        action = actions.add_parser(name, help=text)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="as `data list` shows it")
        add_folder(action)
        action.add_argument("--json", action="store_true", help="print an object instead of lines")
        action.set_defaults(run=run)


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Declare --data-dir."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="where downloaded data sets live; IDX files and CIFAR's binary batches in it are used as they "
        "are (default: PSGD_REF_DATA, else `data` in the user's cache)",
    )


def _list(options: argparse.Namespace) -> int:
    from psgd_ref.data import entries

    found = entries(options.data_dir)
    if options.json:
        print(json.dumps([{**vars(entry), "place": _text(entry.place)} for entry in found], indent=2))
        return 0
    print(f"{'name':14} {'classes':>7} {'images':>11} {'train':>6} {'test':>6} {'MB':>6}  state")
    for entry in found:
        shape = "×".join(map(str, entry.shape))
        size = f"{entry.megabytes:.0f}" if entry.megabytes else ""
        print(
            f"{entry.name:14} {entry.classes:7} {shape:>11} {entry.train:6} {entry.test:6} {size:>6}  "
            f"{entry.state}"
        )
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from psgd_ref.data import fetch

    place = fetch(options.name, options.data_dir)
    if options.json:
        print(json.dumps({"name": options.name, "place": _text(place)}))
    else:
        print(f"{options.name}: {place or 'built in, nothing to fetch'}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from psgd_ref.data import check

    found = check(options.name, options.data_dir)
    counts = {part: len(getattr(found.data, part)) for part in ("train", "validation", "test")}
    if options.json:
        result = {"name": options.name, "place": _text(found.place), "classes": found.data.classes, **counts}
        print(json.dumps({**result, "published": found.published, "own": found.own}))
        return 0
    numbers = ", ".join(f"{count} {part}" for part, count in counts.items())
    print(f"{options.name}: {numbers} images of {found.data.classes} classes, readable")
    if found.published:
        print(f"as published: {', '.join(found.published)}")
    if found.own:
        print(f"used as it is, no checksum is published for this form: {found.place}")
    return 0


def _text(place: Path | None) -> str | None:
    return None if place is None else str(place)
