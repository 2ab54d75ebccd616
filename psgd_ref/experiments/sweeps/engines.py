"""What computes the runs of a sweep: processes on this computer, or a dask cluster."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from psgd_ref.experiments.shared.workers import cores, processes, threads_each

# Opened anew when its workers were lost.
Engine = Callable[[], AbstractContextManager[Executor]]
LOCAL = "local"
# Seconds until a scheduler that does not answer is given up.
PATIENCE = 10


def engine(scheduler: str | None, workers: int | None) -> Engine:
    """Processes on this computer, or a dask cluster.

    Parameters
    ----------
    scheduler : str, optional
        "local" for a cluster on this computer, else a scheduler's address; by default no cluster.
    workers : int, optional
        Processes, one for each core by default; the workers of a cluster elsewhere are its own.

    Raises
    ------
    ValueError
        When dask.distributed is not installed, or workers are given to a cluster elsewhere.
    """
    if scheduler is None:
        return partial(processes, workers or cores())
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ValueError(
            "--scheduler needs dask.distributed, which is not installed: pip install 'psgd_ref[cluster]'"
        ) from None
    if scheduler == LOCAL:
        return partial(_dask, None, workers or cores())
    if workers is not None:
        raise ValueError(f"--workers is the cluster's own affair at {scheduler}; give it to its workers")
    return partial(_dask, scheduler, 0)


@contextmanager
def _dask(address: str | None, workers: int) -> Iterator[Executor]:
    """An executor on a cluster; workers that die are replaced and their runs are sent to others."""
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        if address is None:
            stack.enter_context(threads_each())
            # Port 0: any free one.
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
            client = Client(stack.enter_context(cluster))
        else:
            client = Client(address, timeout=PATIENCE)
        stack.enter_context(client)
        print(f"dask: {client.dashboard_link}", file=sys.stderr)
        executor = client.get_executor(pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)
