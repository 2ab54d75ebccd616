"""Finding a subject by its address, "module:Name", and the address of a subject."""

import importlib
import sys
from pathlib import Path
from typing import Any


def load(address: str) -> Any:
    """What stands at "module:Name"; modules of the current directory are found, too.

    Parameters
    ----------
    address
        "module:Name", Name possibly dotted.

    Raises
    ------
    ValueError
        When the address has another form, the module cannot be imported or has no such name.
    """
    module, colon, name = address.partition(":")
    if not (colon and name and all(part.isidentifier() for part in module.split("."))):
        raise ValueError(
            "a subject is given as module:Name, as it is imported (my_package.my_module:my_step); "
            f"got {address!r}"
        )
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(f"cannot import {module}: {type(error).__name__}: {first}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = ", ".join(key for key in vars(found) if not key.startswith("_")) if part == name else ""
            raise ValueError(f"{module} has no {name}" + (f"; it has {public}" if public else ""))
        found = getattr(found, part)
    return found


def reference_to(thing: Any) -> str | None:
    """The address of a function, a class, or a module's variable; None where it cannot be found again."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None:
        return None
    own = getattr(thing, "__qualname__", "")
    if own and "<" not in own:
        found: Any = module
        for part in own.split("."):
            found = getattr(found, part, None)
        if found is thing:
            return f"{module.__name__}:{own}"
    names = [name for name, value in vars(module).items() if value is thing]
    return f"{module.__name__}:{names[0]}" if names else None
