"""The command line of `python -m query`, and what a person means by a key and by a time."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import DatetimeMS, ObjectId, Regex

from contract.errors import Misconfigured, Rejected
from contract.extjson import unheld
from contract.values import bson_value, date, time_ms
from windows.law.shown import cut
from windows.law.spec import duration

MILLISECONDS = re.compile(r"[0-9]{9,20}")  # since 1970; fewer digits are a slip
LIMIT = re.compile(r"[1-9][0-9]{0,8}")


def parser() -> argparse.ArgumentParser:
    """All subcommands."""
    top = argparse.ArgumentParser(prog="python -m query", description="reads the views in MongoDB", allow_abbrev=False)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--config", help="pipeline.toml (default: EDDY_CONFIG, else ./pipeline.toml)")
    common.add_argument("--json", action="store_true", help="a line of relaxed Extended JSON for each document, for programs")
    common.add_argument("--limit", type=_limit, default=20, help="how many documents of each view (default 20)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    risks = commands.add_parser("risks", parents=[common], allow_abbrev=False, help="the highest fraud scores and why")
    risks.add_argument("--since", metavar="T", help="only from that time on: ISO text, or a duration ago, as in 10m")
    card = commands.add_parser(
        "card", parents=[common], allow_abbrev=False, help="one card: its scores, rolling values and windows"
    )
    card.add_argument("id")
    cart = commands.add_parser("cart", parents=[common], allow_abbrev=False, help="one cart: its signals and visits")
    cart.add_argument("id")
    abandoned = commands.add_parser("abandoned", parents=[common], allow_abbrev=False, help="carts that were left")
    abandoned.add_argument("--all", action="store_true", help="also those that were bought or taken up again")
    window = commands.add_parser(
        "window", parents=[common], allow_abbrev=False, help="the documents of one window set, newest first"
    )
    window.add_argument("view", help="its name in pipeline.toml, or that of the view that it shares with others")
    window.add_argument("--key", metavar="K", help="only this key: text, a number, or Extended JSON")
    window.add_argument(
        "--from", dest="begin", metavar="T", help="windows that end after T: ISO text, or a duration ago, as in 10m"
    )
    window.add_argument("--to", dest="end", metavar="T", help="windows that begin before T")
    commands.add_parser("health", parents=[common], allow_abbrev=False, help="how far each shard is, and where every record went")
    return top


def keys(text: str) -> Sequence[Any]:
    """The BSON values that a key on the command line may mean: itself as text, and the number, id or JSON that it spells.

    >>> keys("17"), keys("card-1")
    (['17', 17], ['card-1'])
    """
    meant: list[Any] = [text]
    if ObjectId.is_valid(text):
        meant.append(ObjectId(text))
    try:
        value = bson_value(json.loads(text), strict=True)
        meant += [] if isinstance(value, (list, dict, Regex)) or value is None else [value]
    except ValueError:
        pass
    except RecursionError:
        raise Misconfigured(f"{_said(text)}: nested too deeply for a key") from None
    except Rejected as error:
        raise Misconfigured(f"{_said(text)}: {error.why}") from None
    if (why := unheld(meant)) is not None:
        raise Misconfigured(f"{_said(text)}: {why}")
    return meant


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
    if at is None or isinstance(at, DatetimeMS):
        raise Misconfigured(f'"{_said(text)}" is no time; write one as in 2026-11-23T16:00:00Z, or a duration ago, as in 10m')
    return at


def _said(text: str) -> str:
    """An argument as messages show it: what is no Unicode, a terminal's bytes in another encoding, is spelled out."""
    return cut(text.encode(errors="backslashreplace").decode())


def _limit(text: str) -> int:
    if LIMIT.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f'"{cut(text)}" is no whole number from 1 to 999999999')
    return int(text)
