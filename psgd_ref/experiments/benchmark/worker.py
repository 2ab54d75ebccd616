"""One side of the benchmark, a process that builds cases and times them when asked.

A request is a line of JSON on standard input, the answer a line on standard output. While one side works
the other waits for its next line, so the two never compete for the cores.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

Step = Callable[[], object]
# A turn is this long, or one call where a call is longer; and a call before it.
TURN = 0.25


def serve(build: Callable[[dict[str, Any]], tuple[Step, float]]) -> None:
    """Answer the requests on standard input until it ends.

    {"build": case} is answered by the amount of work in a call (FLOP or bytes), {"time": true} by the seconds
    of a call, {"memory": true} by the most bytes that this process has held. The work "cold" is done once a
    turn and not before: every time is the first.

    Parameters
    ----------
    build : callable
        From a case to a call that does its work once, and the amount of that work.
    """
    step: Step = list
    cold = False
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            step, amount = build(request["build"])
            cold = request["build"]["work"] == "cold"
            if not cold:
                step()  # compiles and touches memory
            answer: dict[str, float] = {"amount": amount}
        elif "memory" in request:
            answer = {"bytes": float(peak())}
        else:
            answer = {"seconds": _seconds(step) if cold else turn(step)}
        print(json.dumps(answer), flush=True)


def turn(step: Step) -> float:
    """Median seconds of the calls that fill a turn, after one that is not counted.

    That one finds its memory cold: other sides have had the caches since this one's last turn.
    """
    step()
    seconds: list[float] = []
    while not seconds or sum(seconds) < TURN:
        seconds.append(_seconds(step))
    return median(seconds)


def peak() -> int:
    """The most bytes of memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts what the parent held at the start into ru_maxrss, but not into this.
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss


def _seconds(step: Step) -> float:
    start = perf_counter()
    step()
    return perf_counter() - start
