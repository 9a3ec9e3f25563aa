"""The command line of `python -m query`, and what a person means by a key and by a time."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from typing import Any

from bson import ObjectId, Regex

from config.moments import shown
from contract.errors import Misconfigured, Rejected
from contract.extjson import unheld
from contract.values import bson_value
from windows.law.shown import cut

LIMIT = re.compile(r"[1-9][0-9]{0,8}")


def parser() -> argparse.ArgumentParser:
    """All subcommands."""
    top = argparse.ArgumentParser(prog="python -m query", description="reads the views in MongoDB", allow_abbrev=False)
    base = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    base.add_argument("--config", help="pipeline.toml (default: EDDY_CONFIG, else ./pipeline.toml)")
    base.add_argument("--json", action="store_true", help="a line of relaxed Extended JSON for each document, for programs")
    common = argparse.ArgumentParser(add_help=False, parents=[base], allow_abbrev=False)
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
    verify = commands.add_parser(
        "verify",
        parents=[base],
        allow_abbrev=False,
        help="recompute the views from their source collections, and say what differs",
        epilog="exit status: 0 nothing differs, 3 something does, 4 there was nothing to compare. Nothing is written; `read` on "
        "the watched databases and on that of the views is enough.",
    )
    verify.add_argument("--since", metavar="T", help="only windows that end after T: ISO text, or a duration ago, as in 1d")
    verify.add_argument("--views", metavar="A,B", type=_names, help="only these views (default: all)")
    verify.add_argument("--memory", metavar="SIZE", type=_size, default="512MB", help="how much to use at most (default 512MB)")
    verify.add_argument(
        "--order", metavar="FIELD", help="a field of the source documents that grows in the order in which they are written, if any"
    )
    verify.add_argument("--limit", type=_limit, default=10, help="how many examples of what differs (default 10)")
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
        raise Misconfigured(f"{shown(text)}: nested too deeply for a key") from None
    except Rejected as error:
        raise Misconfigured(f"{shown(text)}: {error.why}") from None
    if (why := unheld(meant)) is not None:
        raise Misconfigured(f"{shown(text)}: {why}")
    return meant


def _limit(text: str) -> int:
    if LIMIT.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f'"{cut(text)}" is no whole number from 1 to 999999999')
    return int(text)


def _names(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError
    return names


def _size(text: str) -> int:
    """Bytes of `512MB`, as pipeline.toml writes them."""
    found = re.fullmatch(r"([0-9]{1,6})\s*(KB|MB|GB)", text.strip(), re.IGNORECASE)
    if found is None or not int(found[1]):
        raise ValueError
    return int(found[1]) * {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}[found[2].upper()]
