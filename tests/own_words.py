"""Whether an error is ours: raised on purpose, in this package's words, and of the kinds it documents."""

import traceback
from pathlib import Path

import psgd_ref

PACKAGE = str(Path(psgd_ref.__file__).parent)


def is_ours(error):
    """A ValueError or TypeError whose innermost frame is a `raise` in this package."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        isinstance(error, ValueError | TypeError)
        and frame.filename.startswith(PACKAGE)
        and frame.line is not None
        and frame.line.lstrip().startswith("raise ")
    )


def refused(call, *args, **kwargs):
    """Call; None when that was refused in our words, else the result. Any other error passes."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        if not is_ours(error):
            raise
        return None
