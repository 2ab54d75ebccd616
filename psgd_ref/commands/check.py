"""`psgd-ref check`: anybody's method against the ledger."""

import argparse
from typing import Any

from psgd_ref.commands.numbers import count, seed


def add(commands: Any) -> None:
    """Declare the command."""
    check = commands.add_parser(
        "check",
        help="test your own scaling rule, step, warp, quantizer or pruner against the ledger",
        description="Which claims apply, which ran, which hold, and the smallest counter-example to those "
        "that do not; of a quantizer also what it is. What a subject looks like, and what a pass means: "
        "theory/harness.md.",
    )
    check.add_argument("subject", metavar="MODULE:NAME", help="the module may lie in this directory")
    check.add_argument(
        "--claims", nargs="+", metavar="ID", help="only these, as B2 D1 (default: all that apply)"
    )
    check.add_argument(
        "--examples",
        type=count,
        default=100,
        help="inputs to try for a cheap property, fewer for a simulation (default: %(default)s)",
    )
    check.add_argument("--seed", type=seed, default=0, help="of the search (default: %(default)s)")
    check.add_argument(
        "--bits", type=count, help="at which a quantizer is described, 1 … 8 (default: its own, or 4)"
    )
    check.add_argument("--json", action="store_true", help="print an object instead of lines")
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from psgd_ref.laws.methods.foreign import load_subject
    from psgd_ref.laws.verify import verify

    subject = load_subject(options.subject)
    return verify(options.claims, options.examples, options.seed, options.json, subject, options.bits)
