"""A page for each compared method: its formula, what it needs, its measured rows, when to use it."""

import inspect
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import psgd_ref
from generate import advice
from generate.advice import escaped
from psgd_ref import compress, training
from psgd_ref.experiments.comparisons.tasks import TASKS
from psgd_ref.experiments.shared.methods import Method

# Of several words for one method, the name in the code.
CALLED = {
    "powerprop": "powerpropagation",
    "l1": "ProximalL1",
    "halp": "fit_halp",
    "psgd lsq": "LSQ",
    "l0": "L0Penalty",
}


def pages(root: Path) -> dict[str, str]:
    """Markdown by file name."""
    groups = _groups()
    found = {
        f"methods/{slug(name)}.md": _page(root, name, uses, groups.keys()) for name, uses in groups.items()
    }
    return {"methods/index.md": _index(groups), **found}


def _groups() -> dict[str, list[tuple[str, Method]]]:
    """Every method with the tasks that measure it; the treatment of batch norms is a column and no method."""
    found: dict[str, list[tuple[str, Method]]] = {}
    for task in TASKS.values():
        for method in task.methods:
            if method.kind != "batch norm":
                name = "MSE" if method.name == "mse" else method.name
                found.setdefault(name, []).append((task.name, method))
    return found


def slug(name: str) -> str:
    """A file's name for a method: "PSGD → W3" is psgd-to-w3."""
    words = name.replace("→", "to").replace("+", " plus ").lower()
    return "-".join(re.findall(r"[a-z0-9]+", words))


def _index(groups: dict[str, list[tuple[str, Method]]]) -> str:
    lines = [
        "# Methods",
        "",
        "Every method that is measured here, and what it needs besides a trained model (or in place of one).",
        "",
    ]
    lines += ["| method | kind | needs | measured in | paper |", "|---|---|---|---|---|"]
    for name, uses in groups.items():
        method = uses[0][1]
        tasks = ", ".join(f"[{task}](../notebooks/compare/{task}/table.md)" for task, _ in uses)
        paper = "" if method.paper == "-" else method.paper
        lines.append(f"| [{name}]({slug(name)}.md) | {method.kind} | {method.needs} | {tasks} | {paper} |")
    names = [f"{slug(name)}" for name in groups]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *names, "```", ""])


def _page(root: Path, name: str, uses: Sequence[tuple[str, Method]], names: Collection[str]) -> str:
    lines = [f"# {name}", ""]
    lines += list(_formula(name))
    lines += [
        "## What it needs",
        "",
        "| task | weights | activations too | options | paper |",
        "|---|---|---|---|---|",
    ]
    for task, method in uses:
        options = method.options.replace("|", "\\|").replace("*", "\\*")
        both = max(method.needs, method.activation_needs)
        lines.append(f"| {task} | {method.needs} | {both} | {options} | {method.paper.replace('-', '–')} |")
    lines += ["", "## Measured", ""]
    for task in dict.fromkeys(task for task, _ in uses):
        lines += _measured(root, task, {method.name for _, method in uses})
    lines += ["## When to use it", "", *advice.lines(root, name, uses, names)]
    return "\n".join(lines) + "\n"


def _formula(name: str) -> Iterator[str]:
    """The head of the docstring of what implements it, the code's name last."""
    found = _implementation(name)
    if found is None:
        return
    parts = (inspect.getdoc(found) or "").split("\n\n")
    end = next((k for k, part in enumerate(parts) if re.search(r"^-{3,}$", part, re.MULTILINE)), len(parts))
    yield "## Formula"
    yield ""
    for part in parts[:end]:
        formula = (
            any(sign in part for sign in "=≈∝") and len(part.splitlines()) <= 4 and not part.endswith(".")
        )
        yield f"```text\n{part}\n```\n" if formula else f"{escaped(part)}\n"
    yield f"In the code: `{found.__module__}.{found.__qualname__}`.\n"


def _implementation(name: str) -> type | None:
    """The public name that goes by the method's, without regard to signs and capitals."""
    first = re.split(r" → | \+ |, ", name)[0]
    public = {n: getattr(module, n) for module in (compress, training, psgd_ref) for n in module.__all__}
    public |= {"fit_halp": training.fit_halp}
    plain = {re.sub(r"grid$", "", _letters(n)): found for n, found in public.items()}
    for word in (name.replace("+", "plus"), name.rpartition("+ ")[2], first):
        wanted = CALLED.get(word.lower(), word)
        if "clipping" in wanted:
            wanted = "MSE"
        if (found := plain.get(re.sub(r"grid$", "", _letters(wanted)))) is not None:
            return found
    return None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _measured(root: Path, task: str, names: set[str]) -> list[str]:
    """The rows of the stored tables that are about it, each below its own heading."""
    text = (root / f"notebooks/compare/{task}/table.md").read_text(encoding="utf-8")
    lines: list[str] = []
    for block in text.split("\n\n"):
        rows = block.strip().splitlines()
        if not rows or not rows[0].startswith("|"):
            words = block.strip() if len(block) < 120 and block.strip().endswith(":") else ""
            if words:
                lines += [words, ""]
            continue
        own = [row for row in rows[2:] if any(_is(cell, names) for cell in row.split("|")[1:4])]
        if own:
            lines += [*_without_what_is_said([*rows[:2], *own], names), ""]
        elif lines and lines[-2:] and lines[-2].endswith(":"):
            del lines[-2:]
    if not lines:
        return []
    table, command = f"../notebooks/compare/{task}/table.md", f"psgd-ref compare --task {task} --seeds 5"
    source = f"All rows: [{task}]({table}), made by `{command}`."
    return [f"### {task.capitalize()}", "", *lines, source, ""]


def _without_what_is_said(rows: list[str], names: set[str]) -> list[str]:
    """The table without what the page says already: what is needed, and the method's name in every row."""
    cells = [row.strip().strip("|").split("|") for row in rows]
    named = [all(_is(row[k], names) for row in cells[2:]) for k in range(len(cells[0]))]
    kept = [k for k, head in enumerate(cells[0]) if head.strip() != "needs" and not named[k]]
    return ["|" + "|".join(row[k] for k in kept) + "|" for row in cells]


def _is(cell: str, names: set[str]) -> bool:
    return cell.strip() in names or cell.strip().partition(", W")[0] in names
