"""The command line: parse, dispatch, print."""

import argparse
import gc
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from psgd_ref import __version__
from psgd_ref.commands import (
    bench,
    check,
    compare,
    data,
    evaluate,
    export,
    peers,
    reproduce,
    runtimes,
    sweep,
    train,
)
from psgd_ref.commands.console import (
    CLOSED_PIPE,
    INTERRUPTED,
    Parser,
    drop_output,
    interruptible,
    one_line,
    print_in_any_encoding,
)
from psgd_ref.commands.numbers import count, seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `psgd-ref` and return its exit status.

    0 on success, 1 when a claim or a run fails, 2 on bad input, 130 when interrupted, 141 when nobody
    reads what is printed; bad input is answered in one line that says what was given and what is accepted.
    """
    print_in_any_encoding()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            return _run(words)
        finally:
            # What is printed at exit only would find out too late that nobody reads.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        return CLOSED_PIPE
    except OSError as error:
        drop_output()
        return _refused("output", error, 2)


def _run(words: Sequence[str]) -> int:
    command = next((word for word in words if not word.startswith("-")), "")
    try:
        # Declaring the options of a command can import much, and be interrupted.
        with interruptible(command):
            options = _parser(words).parse_args(words)
            status: int = options.run(options)
            return status
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        return _refused(command, error, 2)
    except (ArithmeticError, MemoryError) as error:
        return _refused(command, str(error) or "there is not enough memory", 1)
    except KeyboardInterrupt:
        # At exit Python would look through all objects for garbage, which takes a second.
        gc.freeze()
        return _refused(command, "interrupted", INTERRUPTED)


def _refused(command: str, error: object, status: int) -> int:
    print(f"psgd-ref {command}: {one_line(error)}", file=sys.stderr)
    return status


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="psgd-ref", description="The reference for position-based scaled gradient descent.")
    parser.add_argument("--version", action="version", version=f"psgd_ref {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="SGD against PSGD on digits: a table over bit-widths and a picture"
    )
    demo.add_argument("--seeds", type=count, default=5, help="runs of each method (default: %(default)s)")
    demo.add_argument("--seed", type=seed, default=0, help="the first run's seed (default: %(default)s)")
    demo.add_argument("--workers", type=count, default=None, help="processes (default: one for each core)")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder (default: %(default)s)")
    demo.add_argument("--json", action="store_true", help="print the numbers as JSON instead of the table")
    demo.add_argument(
        "--search",
        action="store_true",
        help="choose the hyper-parameters anew, on validation images (minutes)",
    )
    demo.add_argument(
        "--rounding",
        action="store_true",
        help="write what the site's playground shows: weights, and accuracy by bits and clipping",
    )
    demo.set_defaults(run=_demo)

    compare.add(commands)
    check.add(commands)
    bench.add(commands)
    data.add(commands)
    train.add(commands, asked_for="train" in words)
    evaluate.add(commands)
    export.add(commands)
    runtimes.add(commands)
    peers.add(commands)
    sweep.add(commands)
    reproduce.add(commands)

    verify = commands.add_parser("verify", help="check every claim of the ledger on this machine")
    verify.add_argument("--claim", action="append", metavar="ID", help="only this claim, as B2; repeatable")
    verify.add_argument(
        "--examples",
        type=count,
        default=100,
        help="inputs to try for a cheap property, fewer for a simulation (default: %(default)s)",
    )
    verify.add_argument(
        "--seed", type=_seed_or_random, default=0, help="of the search, or 'random' (default: %(default)s)"
    )
    verify.add_argument("--json", action="store_true", help="print a list of objects instead of lines")
    verify.set_defaults(run=_verify)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from psgd_ref.experiments.digits import rounding, search, study

    # A folder that cannot be made is found out before minutes of work, not after.
    options.out.mkdir(parents=True, exist_ok=True)
    if options.search:
        record = search.search(options.workers)
        print(json.dumps(record.as_json(), indent=2) if options.json else record.table())
        print(f"search: {record.save(options.out)}", file=sys.stderr)
        return 0
    seeds = range(options.seed, options.seed + options.seeds)
    if options.rounding:
        found = rounding.run(seeds, options.workers)
        if options.json:
            print(json.dumps(found, ensure_ascii=False))
        print(f"rounding: {rounding.save(found, options.out)}", file=sys.stderr)
        return 0
    result = study.run(seeds, options.workers)
    paths = study.save(result, options.out)
    print(json.dumps(result.as_json(), indent=2) if options.json else study.table(result.rows))
    print("\n".join(f"{name}: {path}" for name, path in paths.items()), file=sys.stderr)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from psgd_ref.laws.verify import verify

    return verify(options.claim, options.examples, options.seed, options.json)


def _seed_or_random(text: str) -> int:
    # A number in either case, so that the summary can say how to repeat the run.
    if text == "random":
        return secrets.randbelow(2**32)
    try:
        return seed(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; or random") from None


if __name__ == "__main__":
    sys.exit(main())
