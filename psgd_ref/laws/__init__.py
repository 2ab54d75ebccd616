"""The ledger of claims as laws that this library, and anybody's implementation, can be held to.

Every law is a plain function of a subject and a trial, with Hypothesis inside: `check()` runs them all.
"""

from psgd_ref.laws.chapters import (  # noqa: F401  (each chapter enters its claims into the ledger, in this order)
    a_warp,
    a_warp_limits,
    b_flow,
    c_volume,
    c_volume_rate,
    d_convergence,
    d_fixed_points,
    d_order,
    e_clustering,
    e_decay,
    e_grid_decay,
    e_noise,
    f_sharpness,
    f_stability,
    g_pruning,
    h_quantizers,
    i_batch_norm,
)
from psgd_ref.laws.description.describe import Description, describe
from psgd_ref.laws.ledger import LEDGER, Claim, ledger_table
from psgd_ref.laws.methods.foreign import as_subject
from psgd_ref.laws.methods.subject import Formulas, Subject, reference, register
from psgd_ref.laws.outcome import Outcome
from psgd_ref.laws.parametrize import parametrize_with_laws
from psgd_ref.laws.replay import replay
from psgd_ref.laws.report import Report, check
from psgd_ref.laws.resume import check_resume, state_machine
from psgd_ref.laws.trial import LawBrokenError, Trial

__all__ = [
    "LEDGER",
    "Claim",
    "Description",
    "Formulas",
    "LawBrokenError",
    "Outcome",
    "Report",
    "Subject",
    "Trial",
    "as_subject",
    "check",
    "check_resume",
    "describe",
    "ledger_table",
    "parametrize_with_laws",
    "reference",
    "register",
    "replay",
    "state_machine",
]
