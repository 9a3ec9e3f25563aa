"""The command that puts dead letters in again: which it chooses, how many at once, and that all are taken in the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer import requeue
from contract.errors import Misconfigured, Retryable
from contract.requeued import decode

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def chosen(*arguments: str) -> dict[str, Any]:
    return requeue.chosen(requeue.parser().parse_args(arguments), NOW)


def letter(n: int, size: int = 1) -> dict[str, Any]:
    id = {"stream": "s", "created": 1, "shard": "0", "sequence": str(n), "sub": 0}
    return {"_id": id, "record": "x" * size, "binary": None, "partition_key": f"card/{n}"}


def test_nobody_puts_all_of_them_in_by_accident() -> None:
    with pytest.raises(Misconfigured, match="--all"):
        chosen()
    assert chosen("--all")["requeued.outcome"] == {"$nin": ["counted", "repeat"]}


def test_what_is_asked_for() -> None:
    found = chosen("--reason", "late", "--reason", "fault", "--trigger", "pay", "--since", "1d", "--until", "2026-01-01T12:00:00Z")
    assert found["reason"] == {"$in": ["late", "fault"]}
    assert found["trigger"] == {"$in": ["pay"]}
    assert found["updated_at"] == {"$gte": NOW - timedelta(days=1), "$lt": datetime(2026, 1, 1, 12, tzinfo=UTC)}
    assert chosen("--sequence", "49")["_id.sequence"] == {"$in": ["49"]}
    with pytest.raises(Misconfigured, match="no time"):
        chosen("--since", "yesterday")


def test_requests_hold_what_kinesis_takes_and_what_is_too_large_is_told() -> None:
    refused: list[str] = []
    letters = [*(letter(n) for n in range(501)), letter(501, 2 << 20), *(letter(502 + n, 1_000_000) for n in range(5))]
    letters.append({**letter(600), "_id": {"document": {"a": 1}}})
    found = list(requeue.requests(letters, 1 << 20, refused))
    assert [len(some) for some in found] == [500, 5, 1]
    assert [decode(data).letter["sequence"] for some in found for _, data in some] == [str(n) for n in range(507) if n != 501]
    assert found[0][0][0] == "card/0"
    assert ["2097" in refused[0], "no dead letter of a record" in refused[1], len(refused)] == [True, True, 2]


def test_what_is_not_taken_is_put_until_it_is() -> None:
    put: list[str] = []
    answers: list[Sequence[int] | Exception] = [Retryable("away"), [1, 2], [0], []]

    def once(records: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        put.extend(key for key, _ in records)
        return answer

    requeue.put_all([(key, b"") for key in "abc"], once, lambda seconds: None)
    assert put == ["a", "b", "c", "b", "c", "b"]
    assert not answers
