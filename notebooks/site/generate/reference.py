"""The API reference: a page for each package, its modules in the order in which they build up."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import psgd_ref

PACKAGES = ("core", "laws", "nn", "models", "compress", "data", "training", "analysis", "interop", "kernels")
# Of these the parts that others use: the laws themselves are the ledger, kernels have one oracle each.
ONLY_PUBLIC = {"laws", "kernels"}
# What their descriptions name besides.
ALSO = {"Finding", "Property", "Calls", "StatefulStep"}
LEFT_OUT = {"psgd_ref.core.arguments", "psgd_ref.laws.test_laws"}
# Of packages that may not be installed.
OPTIONAL = ("psgd_ref.interop.torch", "psgd_ref.interop.sklearn", "psgd_ref.interop.runtimes.adapters.")


def pages(root: Path) -> dict[str, str]:
    """reStructuredText by file name."""
    found = {f"reference/{name}.rst": _package(name) for name in PACKAGES}
    return {"reference/index.rst": _index(), **found}


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _index() -> str:
    lines = [_heading("API reference", "="), inspect.getdoc(psgd_ref) or "", ""]
    lines += [_heading("The front door", "-"), ".. list-table::", "   :header-rows: 1", ""]
    lines += ["   * - name", "     - what it is"]
    for name in psgd_ref.__all__:
        lines += [f"   * - {_link(name)}", f"     - {_summary(getattr(psgd_ref, name))}"]
    lines += ["", _heading("Packages", "-"), ".. list-table::", "   :header-rows: 1", ""]
    lines += ["   * - package", "     - what is in it"]
    for name in PACKAGES:
        package = importlib.import_module(f"psgd_ref.{name}")
        lines += [f"   * - :doc:`psgd_ref.{name} <{name}>`", f"     - {_summary(package)}"]
    names = [f"   psgd_ref.{name} <{name}>" for name in PACKAGES]
    lines += ["", ".. toctree::", "   :hidden:", "", "   commands", *names]
    return "\n".join(lines) + "\n"


def _link(name: str) -> str:
    """A name of the front door, as a link to where it is defined."""
    found = getattr(psgd_ref, name)
    if inspect.ismodule(found):
        return f":doc:`{name} <{name}>`"
    return f":py:obj:`{name} <{found.__module__}.{found.__qualname__}>`"


def _summary(found: object) -> str:
    return (inspect.getdoc(found) or "").partition("\n\n")[0].replace("\n", " ")


def _package(name: str) -> str:
    package = importlib.import_module(f"psgd_ref.{name}")
    lines = [_heading(f"psgd_ref.{name}", "="), inspect.getdoc(package) or "", ""]
    for module in _modules(package):
        names = _names(module, package if name in ONLY_PUBLIC else None)
        if names:
            lines += [_heading(module.__name__.removeprefix(f"psgd_ref.{name}."), "-"), _summary(module), ""]
            # A function may have the name of the module that it comes from.
            if module.__name__.rpartition(".")[2] not in getattr(package, "__all__", ()):
                lines += [f".. py:module:: {module.__name__}", ""]
            lines += [line for each in names for line in _directive(module, each)]
    return "\n".join(lines) + "\n"


def _modules(package: ModuleType) -> list[ModuleType]:
    found = [package]
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name in LEFT_OUT or any(part.startswith("_") for part in module.name.split(".")):
            continue
        try:
            found.append(importlib.import_module(module.name))
        except ImportError:
            if not module.name.startswith(OPTIONAL):
                raise
    # First what the package offers, then what is below it.
    offered = {
        getattr(package, name).__module__
        for name in getattr(package, "__all__", ())
        if hasattr(getattr(package, name), "__module__")
    }
    return sorted(found, key=lambda module: module.__name__ not in offered)


def _names(module: ModuleType, package: ModuleType | None) -> list[str]:
    """What a module defines, and of its constants those that its package offers."""
    offered = set(getattr(package or module, "__all__", ()))
    names = []
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        own = inspect.getmodule(getattr(value, "py_func", value)) is module
        made = inspect.isclass(value) or inspect.isfunction(value) or hasattr(value, "py_func")
        if own and made and (package is None or name in offered | ALSO) and inspect.getdoc(value):
            names.append(name)
    return names


def _directive(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        # The formulas of a subject are its fields; each is described where it is defined.
        members = "   :no-members:" if name in ("Formulas", "Subject") else "   :members:"
        return [f".. {kind}:: {module.__name__}.{name}", members, ""]
    return [f".. autofunction:: {module.__name__}.{name}", ""]
