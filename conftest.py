"""Executed notebooks: what a cell prints is one output, however slowly it was printed: the same bytes."""

from contextlib import suppress
from functools import partial

with suppress(ImportError):  # without the extra "notebooks" none are executed
    from nbmake import nb_run

    nb_run.NotebookClient = partial(nb_run.NotebookClient, coalesce_streams=True)
