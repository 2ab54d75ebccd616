"""Executed notebooks: what a cell prints is one output, however slowly it was printed: the same bytes.

Tests: no example fails for its time, which a busy computer stretches.
"""

from contextlib import suppress
from functools import partial

from hypothesis import settings

settings.register_profile("psgd_ref", deadline=None)
settings.load_profile("psgd_ref")

with suppress(ImportError):  # without the extra "notebooks" none are executed
    from nbmake import nb_run

    nb_run.NotebookClient = partial(nb_run.NotebookClient, coalesce_streams=True)
