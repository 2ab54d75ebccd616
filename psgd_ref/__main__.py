"""`python -m psgd_ref` is `psgd-ref`."""

import sys

if __name__ == "__main__":
    try:
        from psgd_ref.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        # Pressed while this was still importing.
        print("psgd-ref: interrupted", file=sys.stderr)
        sys.exit(130)
