"""One run of one law: Hypothesis inside a plain function, with a record of how close it came to failing."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy

Body = Callable[..., None]
Inputs = dict[str, Any]
Strategies = Mapping[str, SearchStrategy[Any]]


@dataclass
class Calls:
    """How often the functions under test were called."""

    count: int = 0


class LawBrokenError(AssertionError):
    """A law does not hold for the subject; the message and its notes carry the smallest counter-example."""


@dataclass(frozen=True)
class Property:
    """One property of a claim, a function of a subject, a trial and the inputs drawn for it.

    Parameters
    ----------
    body
        Called as body(subject, trial, **inputs); raises `LawBrokenError` where the property is broken.
    inputs
        A Hypothesis strategy for each input, by name.
    cost
        How dear one input is: a property of cost c gets 1/c of the inputs of a cheap one.
    false
        The body states something false: the search is for its counter-example.
    shrink
        Whether a counter-example is made as small as possible.
    part
        The part of a subject, by field name, without which there is nothing to try.
    """

    body: Body
    inputs: Strategies
    cost: float = 1
    false: bool = False
    shrink: bool = True
    part: str = ""

    @property
    def name(self) -> str:
        """The name of the body, by which a counter-example is run again."""
        return self.body.__name__


class Trial:
    """What a property is given besides its subject: how hard to search, and where to note what it saw.

    A subject declines an input that it does not take by raising NotImplementedError: no case then, and
    no failure. Properties that never called the subject, by the count in `calls`, say nothing about it
    and leave no trace. Properties run under NumPy's floating-point errors ignored, whatever the caller's
    `numpy.seterr` says: results are judged, not warnings.

    Parameters
    ----------
    examples
        Inputs to try for a cheap property, ≥ 1.
    seed
        Of the search; None draws a fresh one.
    calls
        Counts the calls of the subject's parts, where they are known.
    shrink
        False leaves counter-examples as they are found, which is faster.
    go_on
        Whether the properties of a claim that reports each are tried after one has failed.

    Attributes
    ----------
    cases
        The inputs tried.
    worst
        The largest error as a fraction of what is allowed; a law holds while it is ≤ 1.
    counterexample
        The shrunk input that refutes a false claim.
    ran, declined
        The properties tried on some input; those whose every input was declined, each with its reason.
    failed
        The properties that failed, of a claim that reports each.
    broken
        The last property that failed, with its inputs, shrunk.
    """

    def __init__(
        self,
        examples: int = 100,
        seed: int | None = 0,
        calls: Calls | None = None,
        shrink: bool = True,
        go_on: bool = False,
    ) -> None:
        self.examples = examples
        self.go_on = go_on
        self.seed = seed
        self.calls = calls
        self.shrink = shrink
        self.cases = 0
        self.worst = 0.0
        self.counterexample = ""
        self.ran: list[str] = []
        self.declined: dict[str, str] = {}
        self.failed: list[str] = []
        self.broken: tuple[str, Inputs] | None = None
        self._scores: dict[str, float] = {}
        self._reason = ""
        self._before: tuple[int, int | None] = (0, None)

    def run(self, prop: Property, subject: Any) -> None:
        """Try a property on drawn inputs.

        Raises
        ------
        LawBrokenError
            With the smallest input that breaks a true property, or when a false one has no
            counter-example.
        """
        if not prop.false:
            self._search(prop, subject, max(1, round(self.examples / prop.cost)))
            return
        worst = self.worst
        try:
            # The search ends at the first counter-example, so it may be long.
            self._search(prop, subject, max(self.examples, 500))
        except LawBrokenError as found:
            self.counterexample = describe(found)
            self.worst = worst
        else:
            if prop.name in self.ran:  # and not declined, or about something else
                raise LawBrokenError(f"no counter-example found: {prop.body.__doc__}")

    def _search(self, prop: Property, subject: Any, examples: int) -> None:
        phases = [Phase.generate, Phase.target, *([Phase.shrink] if prop.shrink and self.shrink else [])]
        test = hypothesis.given(**prop.inputs)(self._recorded(prop, subject))
        test = own_settings(examples, phases=phases)(test)
        if self.seed is not None:
            test = hypothesis.seed(self.seed)(test)
        self._count(prop, test)

    def _count(self, prop: Property, test: Callable[[], None]) -> None:
        """Run a test and note whether any of its inputs was taken."""
        cases, worst, calls = self.cases, self.worst, None if self.calls is None else self.calls.count
        self._before = (cases, calls)
        try:
            with np.errstate(all="ignore"):
                test()
        finally:
            if self.cases == cases:
                self.declined[prop.name] = self._reason
            elif self.calls is None or self.calls.count != calls:
                self.ran.append(prop.name)
            else:
                self.cases, self.worst = cases, worst

    def _beside(self) -> bool:
        """True once enough inputs have shown that a property does not call the subject: it is let go."""
        cases, calls = self._before
        return self.calls is not None and self.calls.count == calls and self.cases >= cases + 10

    def within(self, error: npt.ArrayLike, allowed: npt.ArrayLike, statement: str) -> None:
        """Require |error| ≤ allowed, entry by entry, and record the largest share |error|/allowed."""
        size = np.abs(np.asarray(error, dtype=float))
        self._judge(size, np.asarray(allowed, dtype=float), f"{statement}: off by")

    def at_most(
        self, value: npt.ArrayLike, bound: npt.ArrayLike, rounding: npt.ArrayLike, statement: str
    ) -> None:
        """Require value ≤ bound up to rounding, and record the largest share (value − rounding)/bound."""
        value, bound = np.asarray(value, dtype=float), np.asarray(bound, dtype=float)
        excess = value - np.asarray(rounding, dtype=float)
        fine = excess <= 0
        excess, bound = np.where(fine, 0.0, excess), np.where(fine, 1.0, np.maximum(bound, 0.0))
        self._judge(excess, bound, f"{statement}: the smaller side is")

    def _judge(self, size: npt.NDArray[np.float64], most: npt.NDArray[np.float64], statement: str) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(size == 0, 0.0, size / most)
        worst = float(share.max(initial=0.0))
        if not worst <= 1:  # also catches NaN
            at = int(np.argmax(np.where(np.isnan(share), np.inf, share)))
            found, limit = (np.broadcast_to(x, share.shape).flat[at] for x in (size, most))
            raise LawBrokenError(f"{statement} {found:.6g}, where at most {limit:.3g} is allowed")
        self.worst = max(self.worst, worst)
        self._scores[statement] = max(self._scores.get(statement, 0.0), worst)

    def true(self, condition: npt.ArrayLike, statement: str) -> None:
        """Require a condition that has no size, everywhere."""
        if not np.all(condition):
            raise LawBrokenError(statement)

    def _recorded(self, prop: Property, subject: Any) -> Body:
        """The property as a test of its inputs alone, under its own name."""
        found: list[Exception] = []
        quick = not (prop.shrink and self.shrink)

        def recorded(**drawn: Any) -> None:
            if self._beside():
                return
            if found and quick:
                raise found[0]
            self.cases += 1
            self._scores = {}
            try:
                prop.body(subject, self, **drawn)
            except NotImplementedError as limit:
                self.cases -= 1
                self._reason = str(limit) or "the subject declines the input"
                return
            except HypothesisException:
                raise
            except Exception as broken:
                # Hypothesis runs the smallest failing input last, so that is the one that stays.
                self.broken = (prop.name, drawn)
                found.append(broken)
                raise
            for statement, score in self._scores.items():
                hypothesis.target(score, label=statement)  # steer the search towards the worst case

        names = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in prop.inputs]
        recorded.__name__ = recorded.__qualname__ = prop.name
        recorded.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        return recorded


def own_settings(examples: int, **others: Any) -> hypothesis.settings:
    """Every setting by value, never a profile: a library must not touch its user's Hypothesis."""
    return hypothesis.settings(
        **{
            "max_examples": examples,
            "deadline": None,
            "database": None,
            "derandomize": False,
            "print_blob": False,
            "report_multiple_bugs": False,
            "phases": [Phase.generate, Phase.target, Phase.shrink],
            "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
            **others,
        }
    )


def describe(broken: BaseException) -> str:
    """The message of a broken law and the input that Hypothesis shrank it to, without its statistics."""
    notes = [note.split("Highest target score")[0].strip() for note in getattr(broken, "__notes__", [])]
    return "\n".join([str(broken), *filter(None, notes)])
