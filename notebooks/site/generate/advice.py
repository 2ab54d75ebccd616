"""When to use a method: what README advises, what it needs, and the stored tables' sentences about it."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from psgd_ref.experiments.shared.methods import Method

# What a need is beside a trained model.
NEEDED = {
    "nothing": "a trained model and nothing else",
    "training from scratch": "a training of its own, from the start",
}
# Sentences shorter than this are headings of tables.
SHORT = 120


def lines(root: Path, name: str, uses: Sequence[tuple[str, Method]], names: Collection[str]) -> Iterator[str]:
    """Items of a list, in Markdown."""
    tasks = list(dict.fromkeys(task for task, _ in uses))
    for have, use in _recommended(root, tasks):
        if re.search(rf"(?<![\w-]){re.escape(_first(name))}(?![\w+-])", use, re.IGNORECASE):
            yield f"- You have {have.removeprefix('and ')}: {use}."
    needs = sorted({str(method.needs) for _, method in uses})
    yield f"- It needs {' or '.join(NEEDED.get(need, f'a trained model and {need}') for need in needs)}."
    own = word(name, names)
    for task in tasks:
        text = (root / f"notebooks/compare/{task}/table.md").read_text(encoding="utf-8")
        for block in text.split("\n\n"):
            if not block.startswith("|") and len(block) > SHORT:
                said = (about(part, own) for part in re.split(r"(?<=\.) (?=[A-Z])", " ".join(block.split())))
                if found := " ".join(filter(None, said)):
                    yield f"- {task.capitalize()}: {escaped(found)}"


def about(sentence: str, name: re.Pattern[str]) -> str:
    """A sentence that names the method; of one that lists many, the head and what is said of this one."""
    if not name.search(sentence):
        return ""
    text = sentence.removesuffix(".")
    items = _split(text, "; ")
    if len(items) >= 3:
        head, *rest = _split(items[0], ": ")
        heads, items[0] = ([head], ": ".join(rest)) if rest else ([], head)
    else:
        *heads, last = _split(text, ": ")
        items = _split(last, ", ")
    if not heads or len(items) < 3 or name.search(": ".join(heads)):
        return sentence
    own = [item for item in items if name.search(item)]
    return f"{': '.join(heads)}: {'; '.join(own)}."


def _split(text: str, sign: str) -> list[str]:
    """The parts between signs outside brackets; "LSQ, W2A32" is one name."""
    parts, depth = [""], 0
    for k, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        parts[-1] += letter
        if depth == 0 and parts[-1].endswith(sign) and not re.match(r"W\d", text[k + 1 :]):
            parts[-1] = parts[-1].removesuffix(sign)
            parts.append("")
    return parts


def word(name: str, names: Collection[str]) -> re.Pattern[str]:
    """The method's name where it is not a part of another's."""
    rest = [other.removeprefix(name) for other in names if re.match(rf"{re.escape(name)}\W", other)]
    longer = "|".join(map(re.escape, rest))
    after = rf"(?!{longer})" if longer else ""
    return re.compile(rf"(?<![\w→+-] )(?<![\w+-]){re.escape(name)}{after}(?![\w+'’-])")


def _recommended(root: Path, tasks: Collection[str]) -> Iterator[tuple[str, str]]:
    """What one has and what to use, by README; only what was measured in these tasks."""
    text = (root / "README.md").read_text(encoding="utf-8")
    task = ""
    for row in text.partition("## Which method")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        if len(cells) == 3:
            # "the same" is the table of the row above.
            found = re.search(r"compare/(\w+)/", cells[2])
            task = found[1] if found else task
            if task in tasks:
                yield cells[0], cells[1]


def _first(name: str) -> str:
    return re.split(r" → | \+ |, ", name)[0]


def escaped(text: str) -> str:
    """Text in which Markdown's signs mean themselves, unless it has code in it."""
    if "`" in text:
        return text
    return text.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
