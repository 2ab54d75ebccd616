"""Settings of the whole test run."""

import os

# Tests already run on as many processes as there are cores: threads inside them would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
