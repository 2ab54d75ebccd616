"""What every command does with its console: any encoding, a closed pipe, Ctrl-C, errors in one line."""

import argparse
import codecs
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from threading import Timer
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 128 + 2
# As of a program that the system ended for writing where nobody reads: 128 + SIGPIPE.
CLOSED_PIPE = 128 + 13
# Seconds from Ctrl-C until the process ends by itself, should something have swallowed the interrupt.
PATIENCE = 1.0


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, without the usage; a command refuses its own options."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `parse_args`: whoever meets an argument that it does not know refuses it."""
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Print the message and end with status 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


def one_line(error: object) -> str:
    """An error's text in one line."""
    return " ".join(str(error).split())


def print_in_any_encoding() -> None:
    r"""Let standard output print what its encoding lacks as \uXXXX, which JSON reads as that very letter."""
    codecs.register_error("psgd_ref.escaped", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="psgd_ref.escaped")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (missing[k : k + 2].hex() for k in range(0, len(missing), 2))
    return "".join(f"\\u{unit}" for unit in units), error.end


def drop_output() -> None:
    """Forget what could not be written: Python would try again at exit, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def interruptible(command: str) -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt here; where something swallows it, the process ends all the same."""
    timer = Timer(PATIENCE, _end, [command])
    timer.daemon = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        # Once is enough: a second one would disturb what ends now.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        timer.start()
        raise KeyboardInterrupt

    # Whoever set a handler of its own, or ignores interrupts, keeps it; only the main thread has any.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        before: Any = signal.signal(signal.SIGINT, interrupt) if usual else None
    except ValueError:
        usual = False
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGINT, before)
        timer.cancel()


def _end(command: str) -> None:
    for child in active_children():
        child.kill()
    os.write(2, f"psgd-ref {command}: interrupted\n".encode())
    os._exit(INTERRUPTED)
