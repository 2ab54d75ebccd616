"""What tests of sweeps share."""

import pytest

from tests.experiments.sweeps.sweeps import here, results, swept


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Results of the small sweep in one process that nothing disturbs."""
    return results(swept(tmp_path_factory.mktemp("sweep"), here)[0])
