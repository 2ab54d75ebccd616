"""The playgrounds' formulas in JavaScript against psgd_ref (where Node.js is), and the data they show."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "notebooks/site"


def agree(found, wanted):
    """Plain values that are the same up to rounding, whatever NumPy's version."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(agree(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list) and wanted and not isinstance(wanted[0], float):
        return len(found) == len(wanted) and all(map(agree, found, wanted))
    if isinstance(wanted, list | float):
        return np.allclose(found, wanted, rtol=1e-9, atol=1e-12)
    return found == wanted


def test_the_points_are_those_of_psgd_ref(generate):
    points = generate("points")
    assert agree(points.points(), json.loads(points.FILE.read_text(encoding="utf-8")))


def test_the_formulas_give_the_points(generate):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    records = json.dumps(generate("quantizers").records(ROOT))
    words = [node, str(SITE / "points.mjs")]
    said = subprocess.run(words, input=records, capture_output=True, text=True, check=True).stdout
    worst = json.loads(said)
    # The densities are integrals by rules on 2,001 points.
    allowed = dict.fromkeys(worst, 1e-12) | {"density": 2e-4, "log density": 1e-3}
    assert len(worst) == 11
    assert {name: error for name, error in worst.items() if error > allowed[name]} == {}


def test_every_quantizer_has_sorted_values_or_samples(generate):
    for record in generate("quantizers").records(ROOT):
        values = record.get("values") or record["w"]
        assert values == sorted(values), record["name"]
        assert len(values) <= 2 ** record["bits"] or "w" in record
