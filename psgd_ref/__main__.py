"""`python -m psgd_ref` is `psgd-ref`."""

import sys

from psgd_ref.cli import main

if __name__ == "__main__":
    sys.exit(main())
