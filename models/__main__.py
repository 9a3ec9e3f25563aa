"""`python -m models train | score | evaluate`: versions of the fraud model, on files."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from contract.errors import Fatal
from models.offline import arguments


def main(argv: Sequence[str]) -> int:
    """The exit status: 0, 2 for wrong arguments, 78 for what cannot be used."""
    given = arguments(argv)
    try:
        status: int = given.run(given)
        return status
    except Fatal as error:
        print(error, file=sys.stderr)
        return error.status
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
