"""What a check of `make doctor` found, and how a check is run so that none can break the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from contract.errors import Fatal

SIGNS = {"ok": "ok     ", "wrong": "WRONG  ", "skipped": "-      "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. do: what to do about it, where something is wrong."""

    name: str
    state: Literal["ok", "wrong", "skipped"]
    what: str
    do: str = ""

    def text(self) -> str:
        """As it is printed."""
        first = f"{SIGNS[self.state]}{self.name}: {self.what}"
        return "\n".join([first, *(f"         -> {line}" for line in self.do.splitlines())])


def ok(name: str, what: str) -> Finding:
    """As it should be."""
    return Finding(name, "ok", what)


def wrong(name: str, what: str, do: str) -> Finding:
    """Not as it should be, and what to do."""
    return Finding(name, "wrong", what, do)


def skipped(name: str, why: str) -> Finding:
    """Not checked."""
    return Finding(name, "skipped", why)


Check = Callable[[], Finding]


def run(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Each check's finding; one that raises is a finding too."""
    for name, check in checks:
        try:
            yield check()
        except Fatal as error:
            yield wrong(name, str(error), "see there")
        except Exception as error:
            yield wrong(name, f"{type(error).__name__}: {error}", "this is not foreseen; the message should say more")
