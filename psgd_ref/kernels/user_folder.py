"""The package's folder in the user's cache, where compiled kernels and results are kept."""

import os
from pathlib import Path


def user_cache() -> Path:
    """The package's folder in the user's cache: PSGD_REF_CACHE, else psgd_ref in XDG_CACHE_HOME or ~/.cache.

    Returns
    -------
    An absolute path.

    Raises
    ------
    ValueError
        When there is no home folder; it names PSGD_REF_CACHE.
    """
    chosen = os.environ.get("PSGD_REF_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        user = os.environ.get("XDG_CACHE_HOME")
        return (Path(user) if user else Path.home() / ".cache").absolute() / "psgd_ref"
    except RuntimeError:
        raise ValueError("there is no home folder; say with PSGD_REF_CACHE where to keep files") from None


# Found once: a relative PSGD_REF_CACHE is taken from the folder in which the process started.
USER_CACHE: Path | None = None
WHY_NOT_KEPT = "no cache folder can be written"
try:
    USER_CACHE = user_cache()
except ValueError as error:
    WHY_NOT_KEPT = str(error)
