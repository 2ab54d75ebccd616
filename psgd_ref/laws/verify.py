"""What `psgd-ref verify` does: the ledger, line by line, on the reader's own machine."""

import json
import sys
from collections.abc import Sequence

from tqdm import tqdm

from psgd_ref.laws.report import Outcome, Report, chosen, outcomes
from psgd_ref.laws.subject import reference


def verify(claims: Sequence[str] | None, examples: int, seed: int, as_json: bool = False) -> int:
    """Check the named claims, or all, and print one line each as it is done, then a summary.

    With `as_json` a list of objects instead. Returns the exit status: 0 when every claim that could be
    checked holds, or is refuted as stated; 1 when one fails or none could be checked.
    Raises ValueError for an unknown claim.
    """
    entries, subject = chosen(claims), reference()
    results: list[Outcome] = []
    with tqdm(total=len(entries), unit="claim", disable=not sys.stderr.isatty()) as bar:
        for outcome in outcomes(subject, entries, examples, seed):
            results.append(outcome)
            if not as_json:
                with bar.external_write_mode(sys.stdout):
                    print(outcome, flush=True)
            bar.update()
    report = Report(subject.name, tuple(results))
    if as_json:
        print(json.dumps([outcome.as_json() for outcome in results], indent=2, ensure_ascii=False))
    else:
        print(f"{report.summary}, seed {seed}")
    return 0 if report.ok else 1
