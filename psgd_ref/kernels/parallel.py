"""Loops whose turns run on Numba's threads.

`for_each(count, work, body, arguments)` does `body(index, worker, *arguments)` for every index below count.
A worker does one index after another, so that scratch memory is needed once a worker.

Numba's own `parallel=True` does the same, but costs seconds of compilation for every kernel, because it
compiles the body of each loop several times over. Here one small function is compiled with it, `_launch`,
and serves all kernels: it calls the body by its address. The intrinsics write the few LLVM instructions
that need: a function of fixed type that unpacks the arguments (`tile.py` explains intrinsics).
"""

import os
from typing import Any

from llvmlite import ir
from numba import get_num_threads, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.ufunc.parallel import get_thread_id, threading_layer

from psgd_ref.kernels.compile import parallel_kernel

_INDEX = ir.IntType(64)
# A function (index, worker, address of the arguments) that does one turn of a loop.
_TASK = ir.FunctionType(ir.VoidType(), [_INDEX, _INDEX, _INDEX])


# Operations below which a second thread does not pay for being called.
_ALONE = 1 << 16


@parallel_kernel
def _launch(count, work, task, arguments):
    if count < 2 or work < _ALONE:
        for index in range(count):
            _call(task, index, 0, arguments)
    else:
        for index in prange(count):
            _call(task, index, get_thread_id(), arguments)


@intrinsic
def _call(typing: Any, task: Any, index: Any, worker: Any, arguments: Any) -> Any:
    """Call the function at the address `task`."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        b.call(b.inttoptr(args[0], _TASK.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), emit


@intrinsic
def for_each(typing: Any, count: Any, work: Any, body: Any, arguments: Any) -> Any:
    """body(index, worker, *arguments) for 0 ≤ index < count, in any order, on Numba's threads.

    work : operations of the whole loop, roughly; body : a kernel that returns nothing; arguments : a tuple.
    0 ≤ worker < the number of threads.
    Emits a function that unpacks the tuple and calls `body`, and a call of `_launch` with its address.
    """
    turn = typing.resolve_function_type(body, (types.intp, types.intp, *arguments.types), {})
    launch = typing.resolve_function_type(types.Dispatcher(_launch), (types.intp,) * 4, {})

    def emit(context: Any, b: Any, _: Any, args: Any) -> Any:
        compiled = body.dispatcher.get_compile_result(turn)
        context.active_code_library.add_linking_library(compiled.library)
        task = ir.Function(b.module, _TASK, b.module.get_unique_name("task"))
        task.linkage = "internal"
        inside = ir.IRBuilder(task.append_basic_block())
        index, worker, address = task.args
        tuple_pointer = inside.inttoptr(address, context.get_value_type(arguments).as_pointer())
        values = cgutils.unpack_tuple(inside, inside.load(tuple_pointer))
        context.call_internal_no_propagate(inside, compiled.fndesc, turn, [index, worker, *values])
        inside.ret_void()

        stored = cgutils.alloca_once_value(b, args[3])
        launched = _launch.get_compile_result(launch)
        context.active_code_library.add_linking_library(launched.library)
        addresses = [b.ptrtoint(task, _INDEX), b.ptrtoint(stored, _INDEX)]
        context.call_internal_no_propagate(b, launched.fndesc, launch, [*args[:2], *addresses])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, body, arguments), emit


class _Threads:
    """Whether this process has started its threads, and whether it lost them in a fork."""

    started = False
    lost = False


def start_threads() -> None:
    """Start Numba's threads unless they run; needed before a kernel that comes from the cache.

    (Numba starts them when it compiles a parallel loop or loads one, but not for a function that only
    calls one: that would call through a null pointer.) Raises RuntimeError in a process forked from one
    whose OpenMP threads were running: GNU OpenMP does not survive that, and Numba would end the process.
    """
    if _Threads.lost:
        raise RuntimeError(
            "this process was forked after the kernels had started OpenMP threads, which a fork does not "
            "copy: start workers with the method 'spawn', or set NUMBA_THREADING_LAYER=workqueue"
        )
    if not _Threads.started:
        get_num_threads()
        _Threads.started = True


def _after_fork() -> None:
    try:
        _Threads.lost = threading_layer() == "omp"
    except ValueError:  # no threads were started before the fork
        _Threads.lost = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
