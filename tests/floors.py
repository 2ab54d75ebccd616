"""The lowest versions that pyproject.toml allows, a requirement a line: `make test-floors` installs these."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]


def floors(extras):
    """The requirements of the package and of these extras, each at its lower bound."""
    optional = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    nested = re.findall(r"^psgd_ref\[(\w+)\]$", "\n".join(wanted), re.MULTILINE)
    wanted += [line for extra in nested for line in optional[extra]]
    return [re.sub(r"^([\w-]+)>=([\w.]+)$", r"\1==\2", line) for line in wanted if "[" not in line]


if __name__ == "__main__":
    print("\n".join(floors(sys.argv[1:])))
