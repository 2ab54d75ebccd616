"""Run families and keep their records: a folder a family, written when a part of it is done."""

import json
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psgd_ref.experiments.peers import functions, meetings, networks, optimizers
from psgd_ref.experiments.peers.environment import CannotInstallError, environment, python, versions
from psgd_ref.experiments.peers.registry import Family
from psgd_ref.experiments.peers.table import page
from psgd_ref.interop.runtimes.table import cpu_flags
from psgd_ref.interop.whole_file import write_json, write_text

RECORDS, FAMILY = "records", "family.json"
TABLE, PICTURE = "table.md", "staircases"
PARTS = ("functions", "meetings", "optimizers")
_INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")


def run(families: Sequence[Family], folder: Path, say: Callable[[str], object]) -> None:
    """Write the records of families below `folder`; what a peer cannot do is a record that says so.

    Parameters
    ----------
    say
        Called with a line whenever something begins or is there.
    """
    with TemporaryDirectory() as place:
        given: list[Path] = []
        if any(family.meetings for family in families):
            say("networks: training, or reading those that are kept")
            given = networks.write_all(Path(place))
        for family in families:
            say(f"{family.name}: {', '.join(family.requirements)}")
            _run(family, given, folder / RECORDS / family.name, say)


def read(folder: Path) -> list[dict[str, Any]]:
    """The records below a folder, a family each: what `family.json` says, and the lists of `PARTS`."""
    found = []
    for path in sorted((folder / RECORDS).glob(f"*/{FAMILY}")):
        record = _json(path)
        for part in PARTS:
            beside = path.with_name(f"{part}.json")
            record[part] = _json(beside) if beside.exists() else []
        found.append(record)
    return found


def save(records: Sequence[dict[str, Any]], folder: Path) -> dict[str, Path]:
    """Write the table and the picture that are made of the records, and return their paths."""
    from psgd_ref.figures.peers import draw
    from psgd_ref.figures.style import save as save_figure

    write_text(folder / TABLE, page(records))
    picture, _ = save_figure(
        draw([each for record in records for each in record["functions"]]), folder / PICTURE
    )
    return {"table": folder / TABLE, "picture": picture}


def _run(family: Family, given: list[Path], place: Path, say: Callable[[str], object]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for part in PARTS:  # what an earlier run left is not what this one finds
        (place / f"{part}.json").unlink(missing_ok=True)
    about: dict[str, Any] = {"family": family.name, "date": datetime.now(UTC).date().isoformat()}
    try:
        where = environment(family.requirements)
    except CannotInstallError as error:
        write_json(place / FAMILY, {**about, "error": f"cannot be installed: {error}"})
        say(f"{family.name}: cannot be installed: {error}")
        return
    found = versions(where)
    about |= {
        "versions": {name: found[name] for name in family.about},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {instructions()}",
    }
    write_json(place / FAMILY, about)
    interpreter = python(where)
    _write(place / "functions.json", functions.records(family, interpreter), say)
    _write(place / "meetings.json", meetings.records(family, interpreter, given), say)
    _write(place / "optimizers.json", optimizers.records(family, interpreter), say)


def instructions() -> str:
    """Those of this CPU on which results of integer kernels depend, as Linux names them."""
    flags = cpu_flags()
    if not flags:
        return "instructions not known"
    return " ".join(name for name in _INSTRUCTIONS if name in flags) or "none of AVX"


def _write(path: Path, records: Iterable[dict[str, Any]], say: Callable[[str], object]) -> None:
    lines = []
    for record in records:
        lines.append(json.dumps(record, ensure_ascii=False))
        # A record a line, so that diff compares two runs; what is there stays if this is killed.
        write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")
        names = (record[key] for key in ("name", "meeting", "optimizer", "network", "bits") if key in record)
        say(f"  {', '.join(map(str, names))}: {record.get('error', 'done')}")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
