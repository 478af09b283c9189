"""`python -m tests.soak`: `tests/soak/command.py`, which the processes of runs do not import again."""

import sys

if __name__ == "__main__":
    from tests.soak.command import main

    sys.exit(main())
