"""What `psgd-ref verify` and `psgd-ref check` do: the ledger, line by line, on the reader's own machine."""

import json
import sys
from collections.abc import Sequence

from tqdm import tqdm

from psgd_ref.laws.methods.subject import Subject, reference
from psgd_ref.laws.report import Outcome, Report, applicable, outcomes, refuse_empty


def verify(
    claims: Sequence[str] | None,
    examples: int,
    seed: int,
    as_json: bool = False,
    subject: Subject | None = None,
) -> int:
    """Check the named claims, or all that apply, and print one line each as it is done, then a summary.

    subject : this library's own when None, and then JSON is a list of outcomes, else the whole report
    Returns the exit status: 0 when every claim that could be checked holds, or is refuted as stated; 1
    when one fails or none could be checked. Raises ValueError for an unknown claim, and as `check` does
    when a subject that was given has nothing that can be checked.
    """
    checked = reference() if subject is None else subject
    entries, others = applicable(checked, claims)
    results: list[Outcome] = []
    with tqdm(total=len(entries), unit="claim", disable=not sys.stderr.isatty()) as bar:
        for outcome in outcomes(checked, entries, examples, seed):
            results.append(outcome)
            if not as_json:
                with bar.external_write_mode(sys.stdout):
                    print(outcome, flush=True)
            bar.update()
    report = Report(checked.name, tuple(results), others)
    refuse_empty(report)
    if as_json:
        whole = report.as_json()
        print(json.dumps(whole["outcomes"] if subject is None else whole, indent=2, ensure_ascii=False))
    else:
        print(f"{report.summary}, seed {seed}")
    return 0 if report.ok else 1
