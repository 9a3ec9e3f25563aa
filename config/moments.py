"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from contract.errors import Misconfigured, Rejected
from contract.times import date, time_ms
from windows.law.shown import cut
from windows.law.spec import duration

MILLISECONDS = re.compile(r"[0-9]{9,20}")  # since 1970; fewer digits are a slip


def shown(text: str) -> str:
    """An argument as messages show it: what is no Unicode, a terminal's bytes in another encoding, is spelled out."""
    return cut(text.encode(errors="backslashreplace").decode())


def moment(text: str | None, now: datetime) -> datetime | None:
    """A time on the command line: ISO text, or a duration before now. Raises Misconfigured."""
    if text is None:
        return None
    try:
        return now - timedelta(milliseconds=duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        ms = time_ms(int(text) if MILLISECONDS.fullmatch(text) else text)
    except Rejected:
        ms = None
    at = None if ms is None else date(ms)
    if not isinstance(at, datetime):
        raise Misconfigured(f'"{shown(text)}" is no time; write one as in 2026-11-23T16:00:00Z, or a duration ago, as in 10m')
    return at
