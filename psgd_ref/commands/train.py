"""`psgd-ref train`: a training run in a folder, killed and resumed at will."""

import argparse
import dataclasses
import errno
import json
import sys
from pathlib import Path
from typing import Any

from psgd_ref.commands.data import add_folder
from psgd_ref.commands.numbers import real, whole


def add(commands: Any, asked_for: bool) -> None:
    """Declare the command; its options only when it is asked for, since importing them takes a second."""
    train = commands.add_parser(
        "train",
        help="train a model with SGD, PSGD or Adam, with checkpoints",
        description="Options may also be given in a TOML file, with _ for -; the command line wins.",
    )
    train.set_defaults(run=_train)
    if asked_for:
        _declare(train)


def _declare(train: argparse.ArgumentParser) -> None:
    from psgd_ref.training.runs.configuration import Configuration

    train.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the options below")
    train.add_argument(
        "--out", type=Path, default=Path("out/train"), help="folder of the run (default: %(default)s)"
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last whole checkpoint in the folder; options are those of its config.toml",
    )
    add_folder(train)
    train.add_argument("--json", action="store_true", help="print the last epoch's metrics as JSON")
    for option in dataclasses.fields(Configuration):
        default = _as_text(option.default)
        train.add_argument(
            "--" + option.name.replace("_", "-"),
            type=_READERS.get(option.name) or _KINDS[type(option.default)],
            default=argparse.SUPPRESS,
            metavar=option.name.upper(),
            help=option.metadata["help"] + (f" (default: {default})" if default else ""),
        )


def _train(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from psgd_ref.interop.alone import alone
    from psgd_ref.training.runs.run import train

    configuration = _configuration(options)
    folder = "" if options.data_dir is None else f" --data-dir {options.data_dir}"
    again = f"go on with: psgd-ref train --out {options.out} --resume{folder}"
    try:
        with alone(options.out, f"another run is under way in {options.out}; wait for it to end"):
            run = train(
                configuration,
                options.out,
                options.resume,
                options.data_dir,
                say=lambda text: tqdm.write(text, file=sys.stderr),
            )
            if run.metrics:
                _draw(run.metrics, options.out)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"psgd-ref train: {error}; what was saved before is whole; free space and {again}",
            file=sys.stderr,
        )
        return 1
    if options.json:
        # Of a run that was interrupted in its first epoch: null.
        print(json.dumps(run.metrics[-1] if run.metrics else None))
    elif run.metrics:
        print(f"weights: {run.checkpoint}")
    if run.interrupted:
        print(f"psgd-ref train: interrupted and saved after step {run.step}; {again}", file=sys.stderr)
        return 130
    return 0


def _configuration(options: argparse.Namespace) -> Any:
    """The options in force: the defaults, the run's own when it is resumed, the file's, those given."""
    from psgd_ref.training.runs.configuration import Configuration, configuration, read_toml, refuse_other
    from psgd_ref.training.runs.run import CONFIGURATION

    names = [option.name for option in dataclasses.fields(Configuration)]
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    if options.config is not None:
        given = {**read_toml(options.config), **given}
    record = options.out / CONFIGURATION
    if not options.resume:
        return configuration(given)
    if not record.exists():
        raise ValueError(f"nothing to resume in {options.out}; leave --resume out to start a run there")
    recorded = read_toml(record)
    chosen = configuration({**recorded, **given})
    refuse_other(chosen.as_dict(), configuration(recorded).as_dict(), options.out)
    return chosen


def _draw(metrics: list[dict[str, Any]], folder: Path) -> None:
    from psgd_ref.figures.course.training import draw
    from psgd_ref.figures.style import save

    save(draw(metrics), folder / "summary")


def _milestones(text: str) -> list[int]:
    epochs = text.strip(",")
    return [whole(epoch) for epoch in epochs.split(",")] if epochs else []


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _count_or_word(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _truth(text: str) -> bool | str:
    return {"false": False, "true": True}.get(text, text)


_KINDS: dict[type, Any] = {int: whole, float: real, str: str}
_READERS: dict[str, Any] = {
    "cap": _truth,
    "milestones": _milestones,
    "strength": _number_or_word,
    "refresh": _count_or_word,
}


def _as_text(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
