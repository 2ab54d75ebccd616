"""The reference of the command line, from its parser."""

import argparse

from psgd_ref.cli import _parser as parser


def page() -> str:
    """Markdown."""
    root = parser([])
    commands = next(a for a in root._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    lines = ["# The command line", "", root.description or "", ""]
    lines += ["| command | what it does |", "|---|---|"]
    lines += [f"| [psgd-ref {name}](#psgd-ref-{name}) | {_cell(text)} |" for name, text in helps.items()]
    for name, text in helps.items():
        # `train` declares its options only when it is asked for.
        asked = next(a for a in parser([name])._actions if isinstance(a, argparse._SubParsersAction)).choices[
            name
        ]
        lines += ["", f"## psgd-ref {name}", "", _sentence(text), ""]
        lines += [_sentence(_text(asked, asked.description or "")), ""] if asked.description else []
        lines += ["```text", asked.format_usage().strip(), "```", "", "| option | meaning |", "|---|---|"]
        lines += [f"| {_flags(a)} | {_cell(_help(asked, a))} |" for a in asked._actions]
    return "\n".join(lines) + "\n"


def _text(asked: argparse.ArgumentParser, text: str) -> str:
    return text % {"prog": asked.prog} if "%" in text else text


def _sentence(text: str) -> str:
    text = text.replace("<", "&lt;").replace("*", "\\*")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _help(asked: argparse.ArgumentParser, action: argparse.Action) -> str:
    return asked._get_formatter()._expand_help(action) if action.help else ""


def _flags(action: argparse.Action) -> str:
    takes = "" if action.nargs == 0 else f" {_metavar(action)}"
    words = [f"`{flag}{takes}`" for flag in action.option_strings]
    return ", ".join(words) or f"`{_metavar(action)}`"


def _metavar(action: argparse.Action) -> str:
    word = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    return " ".join(word) if isinstance(word, tuple) else str(word)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
