"""`python -m query`: reads the views and prints tables, or JSON lines for programs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.errors import ConnectionFailure, OperationFailure
from rich.console import Console

from config.environment import environment, shape
from config.load import load
from config.moments import moment
from config.specs import Pipeline
from contract.errors import Fatal, Misconfigured
from contract.times import date_ms
from edge.mongo import NO_RIGHTS, Client, connect
from query.arguments import keys, parser
from query.tables import json_lines, show
from query.verify import Question, Verification
from query.verify.show import bar
from query.verify.show import json_lines as verified_lines
from query.verify.show import show as show_verified
from query.views import Found, Reader, Span

AWAY, REFUSED = 69, 77  # sysexits: the service is unavailable; permission denied
DIFFERS, NOTHING_THERE = 3, 4  # of `verify`
EMPTY = {
    "risks": "nothing is scored yet",
    "card": "nothing is known of this card",
    "cart": "nothing is known of this cart",
    "abandoned": "no cart is left",
    "window": "no window there",
    "health": "no shard has committed anything yet",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question; the exit status says what kind of error there was."""
    args = parser().parse_args(argv)
    try:
        return _answer(args)
    except Fatal as error:
        print(error, file=sys.stderr)
        return error.status
    except OperationFailure as error:
        refused = error.code in NO_RIGHTS
        what = "refuses these credentials" if refused else f"refuses the query (code {error.code}: {_details(error)})"
        print(f"MongoDB at {_address()} {what}", file=sys.stderr)
        return REFUSED if refused else 1
    except ConnectionFailure:
        print(f"MongoDB at {_address()} cannot be reached: check MONGODB_URI, the network and its access list", file=sys.stderr)
        return AWAY
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who reads us has seen enough
        return 0


def _answer(args: argparse.Namespace) -> int:
    env = environment()
    if env.mongodb_uri is None:
        raise Misconfigured("MONGODB_URI: is not set; `make query` sets it where the sandbox runs")
    pipeline = load(args.config or env.config)
    now = datetime.now(UTC)
    client = connect(env.mongodb_uri, "query")
    with client:
        if args.command == "verify":
            return _verify(client, pipeline, args, now)
        reader = Reader(client[pipeline.views.database], pipeline, now)
        found = _read(reader, args, now)
    if args.json:
        for line in json_lines(found):
            print(line)
    else:
        console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
        show(console, found, pipeline, now, EMPTY[args.command])
    sys.stdout.flush()
    return 0


def _verify(client: Client, pipeline: Pipeline, args: argparse.Namespace, now: datetime) -> int:
    since = moment(args.since, now)
    question = Question(None if since is None else date_ms(since), args.memory, args.order, views=args.views)
    with bar(Console(stderr=True)) as watch:
        report = Verification(client, pipeline, question, watch, args.limit).run()
    if args.json:
        for line in verified_lines(report):
            print(line)
    else:
        show_verified(Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160), report)
    sys.stdout.flush()
    return DIFFERS if report.differ else NOTHING_THERE if not report.checked else 0


def _read(reader: Reader, args: argparse.Namespace, now: datetime) -> Sequence[Found]:
    if args.command == "risks":
        return reader.risks(args.limit, moment(args.since, now))
    if args.command == "card":
        return reader.card(keys(args.id), args.limit)
    if args.command == "cart":
        return reader.cart(keys(args.id), args.limit)
    if args.command == "abandoned":
        return reader.abandoned(args.limit, args.all)
    if args.command == "window":
        span = Span(moment(args.begin, now), moment(args.end, now))
        return reader.window(args.view, keys(args.key) if args.key is not None else None, span, args.limit)
    return reader.health()


def _address() -> str:
    return shape(os.environ.get("MONGODB_URI", ""))


def _details(error: OperationFailure) -> str:
    return str((error.details or {}).get("codeName", "unknown"))


if __name__ == "__main__":
    raise SystemExit(main())
