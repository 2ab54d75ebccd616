"""The family without packages, laid where a worker finds it."""

from pathlib import Path

import pytest

from psgd_ref.experiments.peers import peer
from tests.experiments.peers import stub


@pytest.fixture(autouse=True)
def _laid_out(monkeypatch):
    """The worker finds the stub among the families."""
    plain = peer._lay_out

    def lay_out(folder):
        plain(folder)
        target = folder / "psgd_ref/experiments/peers/families/stub.py"
        target.write_text(Path(stub.__file__).read_text("utf-8"), "utf-8")

    monkeypatch.setattr(peer, "_lay_out", lay_out)
