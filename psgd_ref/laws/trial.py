"""One run of one law: Hypothesis inside a plain function, with a record of how close it came to failing."""

import functools
from collections.abc import Callable
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
Strategies = dict[str, SearchStrategy[Any]]


@dataclass
class Calls:
    """How often the functions under test were called."""

    count: int = 0


class LawBrokenError(AssertionError):
    """A law does not hold for the subject; the message and its notes carry the smallest counter-example."""


class Trial:
    """What a law is given besides its subject: how hard to search, and where to write down what it saw.

    examples : inputs to try for a cheap property; a property of `cost` c gets examples/c, at least one
    seed     : of the search; None draws a fresh one

    A subject declines an input that it does not take by raising NotImplementedError: no case then, and
    no failure.

    Kept: `cases`, the inputs tried; `worst`, the largest error as a share of what is allowed (a law
    holds while it is ≤ 1); `counterexample`, the shrunk input that refutes a false claim; `ran`, the
    properties tried on some input; `declined`, those whose every input the subject declined, each with
    its reason; `broken`, the last property that failed, with its inputs, shrunk. Properties that never
    called the subject, by the count in `calls`, say nothing about it and leave no trace.
    """

    def __init__(self, examples: int = 100, seed: int | None = 0, calls: Calls | None = None) -> None:
        self.examples = examples
        self.seed = seed
        self.calls = calls
        self.cases = 0
        self.worst = 0.0
        self.counterexample = ""
        self.ran: list[str] = []
        self.declined: dict[str, str] = {}
        self.broken: tuple[str, Inputs] | None = None
        self._scores: dict[str, float] = {}
        self._reason = ""
        self._before: tuple[int, int | None] = (0, None)

    def holds(self, cost: float = 1, **inputs: SearchStrategy[Any]) -> Callable[[Body], None]:
        """Decorator: run the body at once on drawn inputs; a broken one is shrunk and raised."""
        return functools.partial(self._search, max(1, round(self.examples / cost)), inputs)

    def _search(self, examples: int, inputs: Strategies, body: Body) -> None:
        test = own_settings(examples)(hypothesis.given(**inputs)(self._recorded(body)))
        if self.seed is not None:
            test = hypothesis.seed(self.seed)(test)
        self._count(body, test)

    def _count(self, body: Body, test: Callable[[], None]) -> None:
        """Run a test and note whether any of its inputs was taken."""
        cases, worst, calls = self.cases, self.worst, None if self.calls is None else self.calls.count
        self._before = (cases, calls)
        try:
            test()
        finally:
            if self.cases == cases:
                self.declined[body.__name__] = self._reason
            elif self.calls is None or self.calls.count != calls:
                self.ran.append(body.__name__)
            else:
                self.cases, self.worst = cases, worst

    def _beside(self) -> bool:
        """True once enough inputs have shown that a property does not call the subject: it is let go."""
        cases, calls = self._before
        return self.calls is not None and self.calls.count == calls and self.cases >= cases + 10

    def refutes(self, **inputs: SearchStrategy[Any]) -> Callable[[Body], None]:
        """Decorator: the body states something false; find, shrink and keep its counter-example.

        The search ends at the first one, so it may be long. Raises LawBrokenError when it finds none.
        """

        def run(body: Body) -> None:
            worst = self.worst
            try:
                self._search(max(self.examples, 500), inputs, body)
            except LawBrokenError as found:
                self.counterexample = describe(found)
                self.worst = worst
            else:
                if body.__name__ in self.ran:  # and not declined, or about something else
                    raise LawBrokenError(f"no counter-example found: {body.__doc__}")

        return run

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

    def _recorded(self, body: Body) -> Body:
        @functools.wraps(body)
        def recorded(**drawn: Any) -> None:
            if self._beside():
                return
            self.cases += 1
            self._scores = {}
            try:
                body(**drawn)
            except NotImplementedError as limit:
                self.cases -= 1
                self._reason = str(limit) or "the subject declines the input"
                return
            except HypothesisException:
                raise
            except Exception:
                # Hypothesis runs the smallest failing input last, so that is the one that stays.
                self.broken = (body.__name__, drawn)
                raise
            for statement, score in self._scores.items():
                hypothesis.target(score, label=statement)  # steer the search towards the worst case

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
