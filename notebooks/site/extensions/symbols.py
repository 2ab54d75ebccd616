"""The symbols of the map in theory/README.md: what each means, and where its row is."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAP = Path(__file__).parents[3] / "theory/README.md"
# Letters that mean two things, or that are words or units in running text.
LEFT_OUT = {"b", "c", "q", "v", "m", "p", "P", "D", "V", "F", "S", "T", "H", "t", "d", "f", "y", "α", "V′"}
# What the parts of a row leave over.
NO_SYMBOLS = {"", "√", "2^", "ℓ", "√(ab)"}


@dataclass(frozen=True)
class Symbol:
    """A row of the map: its first cell, its second, and the name that links lead to."""

    row: str
    meaning: str
    anchor: str


@cache
def _rows() -> list[tuple[str, str]]:
    text = MAP.read_text(encoding="utf-8").partition("## The map")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:3] for line in text.splitlines() if line.startswith("|")][2:]
    return [(symbol.replace("\\", "").strip(), meaning.replace("`", "").strip()) for symbol, meaning in rows]


def _symbols() -> dict[str, Symbol]:
    found: dict[str, Symbol] = {}
    for k, (row, meaning) in enumerate(_rows()):
        symbol = Symbol(row, meaning, f"symbol-{k + 1}")
        for part in row.split(", "):
            for word in (part, part.partition(" = ")[0], part.partition("(")[0].partition(" = ")[0]):
                if word not in LEFT_OUT | NO_SYMBOLS and " " not in word and "|" not in word:
                    found.setdefault(word, symbol)
    return found


SYMBOLS = _symbols()
# Formulas that are one symbol.
TEX = {
    tex: word
    for tex, word in {
        r"w": "w",
        r"g": "g",
        r"s": "s",
        r"s(w)": "s",
        r"\eta": "η",
        r"\lambda": "λ",
        r"\lambda^*": "λ*",
        r"\lambda^\ast": "λ*",
        r"\Delta": "Δ",
        r"\varepsilon": "ε",
        r"\epsilon": "ε",
        r"\kappa": "κ",
        r"\sigma": "σ",
        r"\bar w": "w̄",
        r"\bar{w}": "w̄",
    }.items()
    if word in SYMBOLS
}
