"""Learning-rate schedules: functions from the number of steps taken to the rate of the next."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psgd_ref.core.arguments import real_number, whole_number, whole_numbers

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class _Shown:
    """A schedule that prints as the call that made it."""

    call: str
    rate: Schedule

    def __call__(self, step: int) -> float:
        return self.rate(step)

    def __repr__(self) -> str:
        return self.call


def constant(lr: float) -> Schedule:
    """The same rate η ≥ 0 at every step."""
    value = real_number("lr", lr)
    return _Shown(f"constant({lr!r})", lambda step: value)


def piecewise(lr: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """η·factor^k once k of the milestones (numbers of steps, increasing) have been reached."""
    real_number("lr", lr), real_number("factor", factor)
    marks = whole_numbers("milestones", milestones, 0)
    if list(marks) != sorted(set(marks)):
        raise ValueError(f"milestones must increase; got {list(marks)}")
    return _Shown(
        f"piecewise({lr!r}, {list(marks)}, {factor!r})",
        lambda step: lr * factor ** sum(step >= mark for mark in marks),
    )


def ramp(value: float, steps: int, power: float = 1.0, start: float = 0.0, after: int = 0) -> Schedule:
    """From `start` to `value` over `steps`: start + (value − start)(k/steps)^power, then `value`.

    For weight decay, ε and `gradient_at`.

    Parameters
    ----------
    value, start : float
        ≥ 0.
    steps : int
        Of the rise, ≥ 1.
    power : float
        > 0.
    after : int
        Steps before the rise begins, ≥ 0, at `start`.

    Raises
    ------
    ValueError
        For other values.

    Examples
    --------
    >>> [ramp(0.1, 4)(step) for step in (0, 2, 4, 9)]
    [0.0, 0.05, 0.1, 0.1]
    >>> [ramp(0.1, 4, after=5)(step) for step in (0, 5, 7, 9)]
    [0.0, 0.0, 0.05, 0.1]
    """
    real_number("value", value), real_number("start", start), real_number("power", power, positive=True)
    whole_number("steps", steps, 1), whole_number("after", after, 0)
    more = "".join(
        f", {n}={v!r}"
        for n, v, usual in (("power", power, 1.0), ("start", start, 0.0), ("after", after, 0))
        if v != usual
    )
    return _Shown(
        f"ramp({value!r}, {steps!r}{more})",
        lambda step: start + (value - start) * min(max(step - after, 0) / steps, 1.0) ** power,
    )


def ramped(value: float, until: float, steps: int, since: float = 0.0) -> float | Schedule:
    """A `ramp` from 0 to `value`, from the fraction `since` of the steps to the fraction `until`.

    The value itself where it is 0, or where there is no time to rise.

    >>> ramped(0.1, 0.8, 10, since=0.4), ramped(0.1, 0.0, 10)
    (ramp(0.1, 4, after=4), 0.1)
    """
    begin, end = round(since * steps), round(until * steps)
    return ramp(value, max(end - begin, 1), after=begin) if value > 0 and end > 0 else value


def falling(steps: int, steepness: float = 10.0) -> Schedule:
    """From almost 1 to 0 over `steps` along a logistic curve, 0 from then on: 1/(1 + exp(s(k/steps − ½))).

    steps ≥ 1, steepness s > 0; at s = 10 it begins at 0.993. Source: Jin et al. 2025 (PARQ's inverse slope).
    """
    whole_number("steps", steps, 1), real_number("steepness", steepness, positive=True)
    return _Shown(
        f"falling({steps!r}, {steepness!r})",
        lambda step: 0.0 if step >= steps else 1 / (1 + math.exp(steepness * (step / steps - 0.5))),
    )


def scaled(value: float | Schedule, factor: float) -> float | Schedule:
    """A number or a schedule times a factor."""
    if not callable(value):
        return value * factor
    rate = value
    return _Shown(f"scaled({value!r}, {factor!r})", lambda step: factor * rate(step))


def cosine(lr: float, steps: int, warmup: int = 0) -> Schedule:
    """η(1 + cos(πk/steps))/2 after a linear rise over `warmup` steps; 0 from `steps` on.

    Source
    ------
    Loshchilov and Hutter 2017, without restarts.
    """
    real_number("lr", lr), whole_number("steps", steps, 1), whole_number("warmup", warmup, 0, steps)

    def rate(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        done = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return lr * (1 + math.cos(math.pi * done)) / 2

    return _Shown(f"cosine({lr!r}, {steps}" + (f", warmup={warmup})" if warmup else ")"), rate)
