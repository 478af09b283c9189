"""`python -m api.openapi`: print the OpenAPI document of this release, as `openapi.json` in the repository has it."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from api.app import specification


def main(out: TextIO) -> int:
    """Print it."""
    out.write(json.dumps(specification(), indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdout))
