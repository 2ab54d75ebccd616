"""Method pages: of the stored tables' sentences, what is about the method."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("SGD", "SGD, fine-tuned", "LSQ", "LSQ+", "LSQ + PSGD", "PSGD → LSQ", "PARQ")


@pytest.mark.parametrize(
    ("name", "sentence", "wanted"),
    [
        ("LSQ", "At W2, of all: LSQ, W2A32 9, LSQ+, W2A32 8, PARQ 7.", "At W2, of all: LSQ, W2A32 9."),
        ("PARQ", "At W2, of all: LSQ, W2A32 9, LSQ+, W2A32 8, PARQ 7.", "At W2, of all: PARQ 7."),
        ("LSQ", "PSGD → LSQ and LSQ + PSGD diverged.", ""),
        ("SGD", "Time, SGD's being 1: PARQ 2, LSQ 1, LSQ+ 1.", ""),
        ("SGD", "The highest mean: SGD, fine-tuned at 50 % (98, PARQ 97); PARQ at 70 %; LSQ at 80 %.", ""),
        (
            "PARQ",
            "Best: SGD at 50 % (98, PARQ -1); LSQ at 70 %; LSQ at 80 %.",
            "Best: SGD at 50 % (98, PARQ -1).",
        ),
        ("PARQ", "PARQ keeps 97 points, and LSQ 96.", "PARQ keeps 97 points, and LSQ 96."),
    ],
)
def test_what_a_sentence_says_about_a_method(generate, name, sentence, wanted):
    advice = generate("advice")
    assert advice.about(sentence, advice.word(name, NAMES)) == wanted


def test_every_method_has_a_formula_its_needs_a_row_and_advice(generate):
    pages = generate("methods").pages(ROOT)
    assert len(pages) > 30
    del pages["methods/index.md"]
    for name, text in pages.items():
        parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
        assert list(parts) == ["Formula", "What it needs", "Measured", "When to use it"], name
        assert re.search(r"^\| .*\d", parts["Measured"], re.MULTILINE), name
        assert "psgd-ref compare --task" in parts["Measured"], name
        assert "- " in parts["When to use it"], name
