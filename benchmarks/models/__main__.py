"""`python -m benchmarks.models [--only NAME]`: each part's table into benchmarks/results.md, in a section of its own; the exit code
says whether every line is met."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.models.table import Part

RESULTS = Path(__file__).parents[1] / "results.md"
HERE = Path(__file__).parent
NAMES = [name for name in ("fraud", "recommend") if (HERE / f"{name}.py").exists()]  # modules that have run() -> Part


def main(argv: Sequence[str]) -> int:
    """Runs the parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", allow_abbrev=False)
    parser.add_argument("--only", choices=NAMES, help="one part; the others' sections of results.md stay as they are")
    given = parser.parse_args(argv)
    met = True
    for name in [given.only] if given.only else NAMES:
        part: Part = importlib.import_module(f"benchmarks.models.{name}").run()
        section = "\n".join([f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "", *part.table, "", *(f"- {line}" for line in part.lines)])
        print(f"## {part.title}\n\n{section}\n")
        RESULTS.write_text(with_section(RESULTS.read_text(), part.title, section))
        met &= all(line.met for line in part.lines)
    return 0 if met else 1


def with_section(text: str, title: str, section: str) -> str:
    """The text, with this section at its place or at the end."""
    whole = f"## {title}\n\n{section}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"{text.rstrip()}\n\n{whole}"
    rest = text[found.end() :]
    return text[: found.start()] + whole + (f"\n{rest}" if rest else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
