"""One side of the benchmark, a process that builds cases and times them when asked.

A request is a line of JSON on standard input, the answer a line on standard output. While one side works
the other waits for its next line, so the two never compete for the cores.
"""

import json
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

Step = Callable[[], object]
# A turn is this long, or one call where a call is longer.
TURN = 0.25


def serve(build: Callable[[dict[str, Any]], tuple[Step, float]]) -> None:
    """Answer the requests on standard input until it ends.

    {"build": case} is answered by the amount of work in a call (FLOP or bytes), {"time": true} by the seconds
    of a call.

    Parameters
    ----------
    build : callable
        From a case to a call that does its work once, and the amount of that work.
    """
    step: Step = list
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            step, amount = build(request["build"])
            step()  # compiles and touches memory
            answer: dict[str, float] = {"amount": amount}
        else:
            answer = {"seconds": turn(step)}
        print(json.dumps(answer), flush=True)


def turn(step: Step) -> float:
    """Median seconds of the calls that fit in a turn; the first is not counted unless it fills the turn."""
    first = _seconds(step)
    if first >= TURN:
        return first
    seconds: list[float] = []
    while sum(seconds) < TURN:
        seconds.append(_seconds(step))
    return median(seconds)


def _seconds(step: Step) -> float:
    start = perf_counter()
    step()
    return perf_counter() - start
