"""Learning-rate schedules: functions from the number of steps taken to the rate of the next."""

import math
from collections.abc import Callable, Sequence

from psgd_ref.core.arguments import real_number, whole_number, whole_numbers

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """The same rate η ≥ 0 for ever."""
    value = real_number("lr", lr)
    return lambda step: value


def piecewise(lr: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """η·factor^k once k of the milestones (numbers of steps, increasing) have been reached."""
    lr, factor = real_number("lr", lr), real_number("factor", factor)
    marks = whole_numbers("milestones", milestones, 0)
    if list(marks) != sorted(set(marks)):
        raise ValueError(f"milestones must increase; got {list(marks)}")
    return lambda step: lr * factor ** sum(step >= mark for mark in marks)


def cosine(lr: float, steps: int, warmup: int = 0) -> Schedule:
    """η(1 + cos(πk/steps))/2 after a linear rise over `warmup` steps; 0 from `steps` on.

    Source: Loshchilov and Hutter 2017, without restarts.
    """
    real_number("lr", lr), whole_number("steps", steps, 1), whole_number("warmup", warmup, 0, steps)

    def rate(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        done = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return lr * (1 + math.cos(math.pi * done)) / 2

    return rate
