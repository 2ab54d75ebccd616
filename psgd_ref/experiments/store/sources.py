"""What a computation is made of: the modules that it reaches, wherever their files lie.

A module counts by its syntax tree without docstrings, comments, `__all__` and imports. In place of an import
stand the name that it binds, the name that it asks for, and the hash of the module that defines it: what is
imported counts, where it lies does not. A name that a package passes on is looked up where it is defined, so
that a result depends on the modules it uses and not on all that their packages offer. Imports inside
functions count as those at the top. The whole package's own `__init__`, which only names things, is left out.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# Folders whose code prints, draws or checks numbers that other code has computed.
SILENT = ("commands", "figures", "laws")


@dataclass(frozen=True)
class Import:
    """One imported name.

    Parameters
    ----------
    block : int
        Which list of statements of the file it is in.
    bound : str
        The name there.
    module, name : str
        What is asked for; no name for the module itself.
    """

    block: int
    bound: str
    module: str
    name: str = ""


@dataclass
class Source:
    """A module as it counts: the text of its tree, and its imports."""

    name: str
    path: Path
    parts: list[str] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    blocks: int = 0

    def __post_init__(self) -> None:
        self._write(ast.parse(self.path.read_bytes()))

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def digest(self) -> str:
        """The hash of the tree alone."""
        return hashlib.sha256("\0".join(self.parts).encode()).hexdigest()

    @cached_property
    def empty(self) -> bool:
        """Whether there is nothing but imports."""
        return set(self.parts) <= {"Module", "body", "end"}

    def _write(self, node: ast.AST) -> None:
        """Add a node to the text; fields that are None or empty differ between versions of Python."""
        self.parts.append(type(node).__name__)
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                if value:
                    self._write_list(name, value)
            elif isinstance(value, ast.AST):
                self.parts.append(name)
                self._write(value)
            elif value is not None:
                self.parts += [name, repr(value)]

    def _write_list(self, name: str, values: list[object]) -> None:
        self.parts.append(name)
        block, self.blocks = self.blocks, self.blocks + 1
        for value in values:
            match value:
                case ast.Import() | ast.ImportFrom():
                    self.imports += self._imports(value, block)
                case ast.Expr(value=ast.Constant(value=str())):
                    pass
                case ast.Assign(targets=[ast.Name(id="__all__")]):
                    pass
                case ast.AST():
                    self._write(value)
                case _:
                    self.parts.append(repr(value))
        self.parts.append("end")

    def _imports(self, node: ast.Import | ast.ImportFrom, block: int) -> Iterator[Import]:
        for alias in node.names:
            bound = alias.asname or alias.name
            if isinstance(node, ast.Import):
                yield Import(block, bound, alias.name)
            else:
                yield Import(block, bound, self._absolute(node), alias.name)

    def _absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from` names, from the root on."""
        if not node.level:
            return node.module or ""
        own = self.name.split(".")
        above = own[: len(own) - node.level + self.is_package]
        return ".".join([*above, *([node.module] if node.module else [])])


class Sources:
    """The modules of a package in a folder.

    Parameters
    ----------
    package : Path
        Its folder, which has its name.
    """

    def __init__(self, package: Path) -> None:
        self.package, self.known = package, dict[str, Source | None]()

    def version(self, entry: str) -> str:
        """The hash of all that a module computes with, 64 hexadecimal digits.

        Raises
        ------
        ValueError
            When there is no such module.
        """
        first = self.source(entry) or _loaded(entry)
        reached, waiting = {entry: first}, [first]
        while waiting:
            for source in self._next(waiting.pop()):
                if source.name not in reached:
                    reached[source.name] = source
                    waiting.append(source)
        every = sorted(self._whole(source) for source in reached.values())
        return _hash([self._whole(first), *every])

    def source(self, name: str) -> Source | None:
        """The module of that name; None for one outside the package, and for one that computes nothing."""
        if name not in self.known:
            path = self._path(name)
            self.known[name] = None if path is None else Source(name, path)
        return self.known[name]

    def _path(self, name: str) -> Path | None:
        root, *rest = name.split(".")
        if root != self.package.name or not rest or self._silent(name):
            return None
        place = self.package.joinpath(*rest)
        found = [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]
        return found[0] if found else None

    def _silent(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{self.package.name}.{folder}.") for folder in SILENT)

    def _counted(self, source: Source) -> Iterator[Import]:
        return (each for each in source.imports if not self._silent(each.module))

    def _next(self, source: Source) -> Iterator[Source]:
        for each in self._counted(source):
            found, _ = self._defining(each)
            if found is not None:
                yield found
                yield from self._packages(found)

    def _packages(self, source: Source) -> Iterator[Source]:
        """Packages on the way to a module that do something themselves."""
        parts = source.name.split(".")
        for end in range(2, len(parts)):
            above = self.source(".".join(parts[:end]))
            if above is not None and not above.empty:
                yield above

    def _defining(self, asked: Import) -> tuple[Source | None, str]:
        """The module that defines what an import asks for, and the name there, "" for the module itself."""
        if not asked.name:
            return self.source(asked.module), ""
        source = self.source(asked.module)
        for each in source.imports if source is not None else ():
            # The first list of statements is the module's own.
            if each.bound == asked.name and each.block == 0 and each.module != asked.module:
                found, name = self._defining(each)
                if found is not None:
                    return found, name
        below = self.source(f"{asked.module}.{asked.name}")
        return (source, asked.name) if below is None else (below, "")

    def _whole(self, source: Source) -> str:
        """The hash of a module and of what its imports mean."""
        return _hash([source.digest, *sorted(self._meaning(each) for each in self._counted(source))])

    def _meaning(self, each: Import) -> str:
        found, name = self._defining(each)
        where = f"{each.module} {each.name}" if found is None else f"{found.digest} {name}"
        return f"{each.block} {each.bound} {where}"


def _loaded(name: str) -> Source:
    """A module from elsewhere that this process has imported, such as a test."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        raise ValueError(f"no source of the module {name} is found")
    return Source(name, Path(file))


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
