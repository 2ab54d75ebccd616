"""What `psgd-ref verify` and `psgd-ref check` do: the ledger, line by line, on the reader's own machine."""

import json
import sys
from collections.abc import Sequence

from tqdm import tqdm

from psgd_ref.laws.applicable import applicable
from psgd_ref.laws.description.describe import Description, describe
from psgd_ref.laws.methods.subject import Subject, reference
from psgd_ref.laws.outcome import Outcome, outcomes
from psgd_ref.laws.report import Report, refuse_empty


def verify(
    claims: Sequence[str] | None,
    examples: int,
    seed: int,
    as_json: bool = False,
    subject: Subject | None = None,
    bits: int | None = None,
) -> int:
    """Check the named claims, or all that apply, and print one line each as it is done, then a summary.

    Parameters
    ----------
    subject
        This library's own when None, and then JSON is a list of outcomes, else the whole report.
    bits
        At which a subject that is a quantizer is described, as `describe` takes it.

    Returns
    -------
    The exit status: 0 when every claim that could be checked holds, or is refuted as stated; 1 when one
    fails or none could be checked.

    Raises
    ------
    ValueError
        For an unknown claim, and as `check` does when a subject that was given has nothing that can be
        checked.
    """
    checked = reference() if subject is None else subject
    entries, others = applicable(checked, claims)
    description, reason = _description(checked, bits)
    results: list[Outcome] = []
    with tqdm(total=len(entries), unit="claim", disable=not sys.stderr.isatty()) as bar:
        for outcome in outcomes(checked, entries, examples, seed):
            results.append(outcome)
            if not as_json:
                with bar.external_write_mode(sys.stdout):
                    print(outcome, flush=True)
            bar.update()
    report = Report(checked.name, tuple(results), others, description)
    refuse_empty(report)
    if as_json:
        whole = report.as_json()
        print(json.dumps(whole["outcomes"] if subject is None else whole, indent=2, ensure_ascii=False))
    else:
        if description is not None or reason:
            print(description or f"not described: {reason}")
        print(f"{report.summary}, seed {seed}")
    return 0 if report.ok else 1


def _description(subject: Subject, bits: int | None) -> tuple[Description | None, str]:
    """What a quantizer is, or why it could not be found; ValueError where the bits were chosen."""
    if subject.quantization is None:
        if bits is not None:
            raise ValueError(f"--bits is for a quantizer, which {subject.name} is not")
        return None, ""
    try:
        return describe(subject.quantization, bits), ""
    except ValueError as error:
        if bits is not None:
            raise
        return None, str(error)
