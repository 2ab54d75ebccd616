"""`describe`: what a quantizer is, as a short table and as a record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array, choice, whole_number
from psgd_ref.laws.description import ties
from psgd_ref.laws.description.finding import Finding
from psgd_ref.laws.description.properties import Probe, findings
from psgd_ref.laws.description.scales import Scale, fitted, samples
from psgd_ref.laws.description.scope import Scope, scope_of
from psgd_ref.laws.description.staircase import Staircase, ramp
from psgd_ref.laws.methods.quantizers import Quantization, as_quantization

FORMAT = 1
_SIZE = 2048


@dataclass(frozen=True)
class Description:
    """What a quantizer is.

    Parameters
    ----------
    name, form
        Of the quantizer, and in which form it was brought.
    bits, dtype
        At which it was tried.
    scope
        Which weights share a scale: "tensor", "channel of axis k", "group of n", or "each weight by itself".
    scale, scale_error
        The rule for the scale, and the largest relative difference from it over the tensors tried.
    levels
        Levels used on evenly spaced weights with both extremes ±M: as codes where the spacing is even,
        else as fractions of M.
    even
        Whether they are evenly spaced.
    tie_rule
        Where a weight goes that is halfway.
    grid_error, grid_levels
        What a tensor becomes that lies on the symmetric grid of 2^b − 1 levels, all of them present: the
        largest change in its Δ, and how many different values are left.
    second_pass
        By how much, in Δ, a second pass moves a weight of a tensor of normal weights.
    findings
        The properties, each with its smallest counter-example.
    special
        What becomes of constant and all-zero tensors, NaN and infinity, in words.
    """

    name: str
    form: str
    bits: int
    dtype: str
    scope: str
    scale: str
    scale_error: float | None
    levels: tuple[float, ...]
    even: bool
    tie_rule: str
    grid_error: float
    grid_levels: int
    second_pass: float
    findings: tuple[Finding, ...]
    special: dict[str, str]

    def __getitem__(self, name: str) -> Finding:
        """The finding about one property; KeyError that lists them for another name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no property {name!r}; there are {', '.join(f.name for f in self.findings)}")

    def as_json(self) -> dict[str, object]:
        """The description as one JSON object: equal for two versions of a library that behave alike here."""
        return {
            "format": FORMAT,
            "quantizer": self.name,
            "form": self.form,
            "bits": self.bits,
            "dtype": self.dtype,
            "scope": self.scope,
            "scale": {"rule": self.scale, "error": self.scale_error},
            "levels": {"count": len(self.levels), "even": self.even, "values": list(self.levels)},
            "ties": self.tie_rule,
            "on_symmetric_grid": {
                "error_in_steps": _number(self.grid_error),
                "levels_left": self.grid_levels,
            },
            "second_pass_in_steps": _number(self.second_pass),
            "properties": {finding.name: finding.as_json() for finding in self.findings},
            "special": dict(self.special),
        }

    def __str__(self) -> str:
        error = "" if self.scale_error is None else f" (to {self.scale_error:.1g})"
        count = 2**self.bits - 1
        rows = {
            "scale": self.scale + error,
            "shared by": self.scope,
            "levels": self._levels(),
            "ties": self.tie_rule,
            "symmetric grid": f"moves by {self.grid_error:.3g} Δ, {self.grid_levels} of {count} levels left",
            "second pass": f"moves weights by up to {self.second_pass:.3g} Δ",
            **{finding.name: str(finding) for finding in self.findings},
            **self.special,
        }
        head = f"{self.name}, as {self.form}: {self.bits} bits, {self.dtype}"
        return "\n".join([head, *(f"  {name:<16} {text}" for name, text in rows.items())])

    def _levels(self) -> str:
        if not self.levels:
            return "none: NaN or infinity"
        ends = f"{self.levels[0]:.4g} … {self.levels[-1]:.4g}"
        return f"{len(self.levels)}, {ends} {'steps' if self.even else 'of max|w|, uneven'}"


def describe(quantizer: Any, bits: int | None = None, dtype: str = "float64") -> Description:
    """What a quantizer is: its scale rule, levels, ties and properties, found by trying it.

    The tensors are the same in every run, so that the records of two versions of a library can be compared.

    Parameters
    ----------
    quantizer
        In any form of `methods.quantizers`: q(w, bits), q(w, targets), q(w, scale), …, to values or codes.
    bits
        At which it is tried, 1 … 8; the number that it is fixed to, or 4.
    dtype
        Of the weights: "float64" or "float32".

    Raises
    ------
    ValueError
        For a thing in another form, a number of bits that it does not take, or a result of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> def q(w, bits):
    ...     step = np.abs(w).max() / (2 ** (bits - 1) - 0.5)
    ...     return np.clip(np.rint(w / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * step
    >>> found = describe(q)
    >>> found.scale, found.tie_rule, found["idempotent"].verdict
    ('max|w|/(2^(b-1)-1/2)', 'even', 'no')
    """
    brought = as_quantization(quantizer)
    fixed = brought.bits
    width = whole_number("bits", (4 if fixed is None else fixed) if bits is None else bits, 1, 8)
    if fixed not in (None, width):
        raise ValueError(f"bits must be {fixed}, which {brought.name} is fixed to; got {width}")
    kind = np.dtype(choice("dtype", dtype, ("float64", "float32")))
    with np.errstate(all="ignore"):
        try:
            return _described(brought, width, kind)
        except ValueError:
            raise
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"{brought.name} cannot be described at {width} bits in {kind}: "
                f"{type(error).__name__}: {first}"
            ) from error


def _described(brought: Quantization, bits: int, kind: Any) -> Description:
    def run(w: Array) -> Array:
        return brought.flat(w, bits).value

    def told(w: Array) -> float | None:
        scale = brought.flat(w, bits).scale
        return None if scale is None or not scale.item() else float(scale.item())

    shared = scope_of(brought, bits, kind)
    size = min(_SIZE, shared.group or _SIZE)
    tensors = samples(size, kind)
    scale = Scale("given") if brought.given else fitted(run, told, bits, tensors)
    largest = max(2 ** (bits - 1) - 1, 1)
    formula: Callable[[Array], float | None] = scale.formula or told
    if brought.given:
        formula = lambda w: float(np.abs(w).max(initial=0.0)) / largest  # noqa: E731
    dense = Staircase.of(run(ramp(-1.0, 1.0, size, kind)))
    even = dense.even or len(dense.levels) == 1
    grid_error, grid_levels = _on_grid(run, largest, kind, shared)
    return Description(
        name=brought.name,
        form=brought.form,
        bits=bits,
        dtype=kind.name,
        scope=shared.name,
        scale=scale.rule,
        scale_error=scale.error,
        levels=_levels(dense),
        even=even,
        tie_rule=_ties(run, bits, kind, dense),
        grid_error=grid_error,
        grid_levels=grid_levels,
        second_pass=_second_pass(run, tensors[0], largest),
        findings=tuple(findings(Probe(run, formula, kind), tensors)),
        special=_special(run, kind),
    )


def _levels(dense: Staircase) -> tuple[float, ...]:
    shown = dense.levels if dense.codes is None or not dense.even else dense.codes
    return tuple(float(f"{level:.6g}") + 0.0 for level in shown)


def _ties(run: Callable[[Array], Array], bits: int, kind: Any, dense: Staircase) -> str:
    w = samples(min(_SIZE, 64), kind)[0]
    if any(not np.array_equal(run(w), run(w), equal_nan=True) for _ in range(3)):
        return ties.STOCHASTIC
    if dense.even or len(dense.levels) < 4:
        return ties.tie_rule(run, bits, kind)
    w = ramp(-1.0, 1.0, 512, kind)
    nearest = np.abs(w[:, None] - dense.levels).min(1)
    right = np.abs(np.abs(run(w) - w) - nearest).max() <= 1e-5
    return ties.CODEBOOK if right else ties.OTHER_CODE


def _on_grid(run: Callable[[Array], Array], largest: int, kind: Any, shared: Scope) -> tuple[float, int]:
    """The largest change in Δ and the fewest values left, for three sizes of Δ."""
    error, left = 0.0, 2 * largest + 1
    for step in (1.0, 0.1, 1 / 3):
        w = (np.arange(-largest, largest + 1) * step).astype(kind)
        if shared.group and len(w) > shared.group:
            return float("nan"), 0
        q = run(w)
        error = max(error, float(np.abs(q - w).max()) / step) if np.isfinite(q).all() else float("inf")
        left = min(left, len(Staircase.of(q).levels))
    return (error if error > 1e-12 else 0.0), left


def _second_pass(run: Callable[[Array], Array], w: Array, largest: int) -> float:
    once = run(w)
    return float(np.abs(run(once) - once).max() / (np.abs(w).max() / largest))


def _special(run: Callable[[Array], Array], kind: Any) -> dict[str, str]:
    """Tensors that are constant, zero, or hold what is no number."""
    tensors = {
        "constant": [[0.3] * 3, [-0.3] * 3],
        "all zero": [[0.0] * 3],
        "NaN": [[1.0, np.nan, -0.5]],
        "infinity": [[1.0, np.inf, -0.5]],
    }
    return {name: "; ".join(_became(run, np.array(w, kind)) for w in each) for name, each in tensors.items()}


def _became(run: Callable[[Array], Array], w: Array) -> str:
    try:
        q = run(w)
    except Exception as error:
        return f"refused ({type(error).__name__})"
    if np.array_equal(q, w, equal_nan=True):
        return "stays as it is"
    shown = ", ".join(f"{x:.4g}" for x in q.tolist())
    return f"[{', '.join(f'{x:.4g}' for x in w.tolist())}] becomes [{shown}]"


def _number(x: float) -> float | str:
    return x if np.isfinite(x) else str(x)
