"""How kernels are compiled: which CPU, which flags, and a cache that never serves stale code.

The cache (`kernels.cache`) lives in a folder whose name is a hash of all that the code depends on: the
sources of this package, the versions of NumPy, Numba and LLVM, the CPU and the lanes. An edit, also in a
function that a kernel calls, moves to a new folder and compiles afresh.
"""

import gc
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from psgd_ref.kernels import ahead
from psgd_ref.kernels.cache import FileCache, can_be_kept
from psgd_ref.kernels.user_folder import USER_CACHE, WHY_NOT_KEPT

try:
    import fcntl
except ImportError:  # no such locks here: every process compiles what it needs
    fcntl = None  # type: ignore[assignment]

config: Any = numba.config  # its attributes are made from the environment at run time

Function = Callable[..., Any]
Compiled = Any  # a Numba dispatcher


def cpu_features() -> set[str]:
    """Features of the CPU that Numba compiles for (its own override is NUMBA_CPU_FEATURES)."""
    if config.CPU_FEATURES is not None:
        return {f[1:] for f in config.CPU_FEATURES.split(",") if f.startswith("+")}
    return {name for name, present in llvm.get_host_cpu_features().items() if present}


def lanes() -> int:
    """Floats in a vector register: 16 with AVX-512, 8 with AVX2, else 4; PSGD_REF_LANES overrides it."""
    chosen = os.environ.get("PSGD_REF_LANES")
    if chosen is not None:
        if chosen not in ("4", "8", "16"):
            raise ValueError(f"PSGD_REF_LANES must be 4, 8 or 16; got {chosen!r}")
        return int(chosen)
    features = cpu_features()
    if "avx512f" in features:
        return 16
    return 8 if {"avx2", "fma"} <= features else 4


LANES = lanes()


def checked() -> bool:
    """Whether every index in a compiled kernel is checked, by PSGD_REF_CHECK=1: slow, for tests."""
    chosen = os.environ.get("PSGD_REF_CHECK", "0")
    if chosen not in ("0", "1"):
        raise ValueError(f"PSGD_REF_CHECK must be 0 or 1; got {chosen!r}")
    return chosen == "1"


CHECK = checked()


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    cpu = config.CPU_NAME or llvm.get_host_cpu_name()
    versions = (np.__version__, numba.__version__, llvmlite.__version__, sys.version)
    digest.update(
        repr((versions, cpu, sorted(cpu_features()), LANES, CHECK, os.environ.get("NUMBA_OPT"))).encode()
    )
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


# Where compiled kernels live; also read where it cannot be written. None without a home folder.
CACHE = None if USER_CACHE is None else USER_CACHE / f"kernels-{_fingerprint()}"
_WRITABLE = CACHE is not None and _writable(CACHE)


_OPTIONS = {
    "boundscheck": CHECK,
    "error_model": "numpy",
    "fastmath": {"contract"},
    "nogil": True,
    "no_cfunc_wrapper": True,
    # Kernels make no arrays, their callers do: the code that counts references would double the compilation.
    "_nrt": False,
}
# Only `prange` runs in parallel: Numba would also turn array assignments into parallel loops, each of
# which costs a second of compilation.
_ONLY_PRANGE = dict.fromkeys(
    ("comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion"), False
) | {"prange": True}


# Levels of LLVM's optimisation. Where tiles spell the vectors out, a search for loops that could become
# vectors costs a fifth of the compilation, and the kernels get some percent slower.
_TILES, _LOOPS = 1, 3


def kernel(function: Function) -> Compiled:
    """Compile on first use, for one thread, with the cache and the flags of this package.

    `contract` lets a multiply and an add round once; NaN, ±inf and the order of sums stay as written.
    Division by zero gives ±inf or NaN as in NumPy.
    """
    return _compiled(function)


def loop_kernel(function: Function) -> Compiled:
    """As `kernel`, of plain loops, which the compiler turns into vectors."""
    return _compiled(function, _LOOPS)


def body(function: Function) -> Compiled:
    """As `kernel`, for the body of a loop that runs on several threads (`parallel.for_each`)."""
    return _compiled(function, no_cpython_wrapper=True)


def inner(function: Function) -> Compiled:
    """As `kernel`, for functions that only kernels call: their code is put in place of the call."""
    return _compiled(function, no_cpython_wrapper=True, inline="always")


def linked(function: Function) -> Compiled:
    """As `inner`, but compiled once: LLVM puts it in place of the call. For what is long and called often."""
    return _compiled(function, no_cpython_wrapper=True, forceinline=True)


def strict(function: Function) -> Compiled:
    """As `kernel`, for functions that only kernels call, without `contract`: each operation rounds."""
    return _compiled(function, no_cpython_wrapper=True, fastmath=False)


def reordering(function: Function) -> Compiled:
    """As `kernel`, for functions that only kernels call, whose sums may be taken in any order.

    So that several are taken at once, as many as the CPU has lanes for; NaN and ±inf stay.
    """
    return _compiled(function, _LOOPS, no_cpython_wrapper=True, fastmath={"contract", "reassoc"})


def parallel_kernel(function: Function) -> Compiled:
    """As `kernel`, with `prange` loops run by Numba's threads."""
    return _compiled(function, parallel=_ONLY_PRANGE)


def _compiled(function: Function, level: int = _TILES, **options: Any) -> Compiled:
    njit: Any = numba.njit  # its stub does not know all options
    dispatcher = njit(function, **(_OPTIONS | options))
    dispatcher.compile = _optimising(dispatcher.compile, level)
    if CACHE is not None and can_be_kept(function):
        dispatcher._cache = FileCache(function, CACHE)
        dispatcher.compile = _one_process_at_a_time(dispatcher.compile, CACHE / f"{function.__name__}.lock")
    return dispatcher


def _optimising(compile_or_load: Function, level: int) -> Function:
    """The same at a level of optimisation, unless the environment (NUMBA_OPT) asks for another."""

    def call(signature: Any) -> Any:
        with global_compiler_lock:
            before = config.OPT
            config.OPT = type(before)(level) if "NUMBA_OPT" not in os.environ else before
            try:
                return compile_or_load(signature)
            finally:
                config.OPT = before

    return call


def _one_process_at_a_time(compile_or_load: Function, lock: Path) -> Function:
    """Of several processes that need a kernel one compiles it; the others wait and find it in the cache."""

    def call(signature: Any) -> Any:
        # Numba's own lock first: threads that took the two in different orders would wait for each other.
        with global_compiler_lock, _no_collection(), _locked(lock):
            return compile_or_load(signature)

    return call


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock against other processes; where there is none to be had, do without."""
    with ExitStack() as stack:
        if fcntl is not None and _WRITABLE:
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have cleared it
                fcntl.flock(stack.enter_context(path.open("w")), fcntl.LOCK_EX)
        yield


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage within: compilation makes many objects, and it would take 6 % of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _said_just_now(note: Path) -> bool:
    """Whether another process has said so within a minute; if not, note that this one does."""
    try:
        recent = note.exists() and time.time() - note.stat().st_mtime < 60
        note.touch()
    except OSError:
        return False
    return recent


class _Announcer(event.Listener):
    """Says once, on stderr, why the first step takes seconds."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        dispatcher = event.data["dispatcher"]
        if _WRITABLE:
            ahead.compiling()
        # A function made from a string may have no module.
        if self.said or not (dispatcher.py_func.__module__ or "").startswith(__package__):
            return
        self.said = True
        if CACHE is not None and _WRITABLE and _said_just_now(CACHE / "compiling"):
            return
        kept = f"kept in {CACHE}" if _WRITABLE else f"not kept: {WHY_NOT_KEPT}"
        # The process's own stream: it reaches whoever started the process, but not the stored output of a
        # notebook run as a test, which must not depend on what the cache holds.
        stream = sys.__stderr__ or sys.stderr
        stream.write(f"psgd_ref: compiling kernels for this CPU ({LANES} lanes), some seconds, {kept}\n")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Announcer())
