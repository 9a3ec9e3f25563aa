"""The faults: how each is injected, and how it is healed where it does not heal by itself.

Each of them is `inject(parts, fault) -> (what was hit, how to heal it)`; it raises NoTarget where there is nothing to hit just now.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import psutil
from botocore.exceptions import ClientError

from sandbox.processes import Known, find, known
from tests.chaos.parts import CONSUMERS, PRODUCER, Parts
from tests.chaos.plan import PUTS, Planned

Heal = Callable[[], None]
Injected = tuple[str, Heal]
T = TypeVar("T")


class NoTarget(Exception):
    """Nothing there that this fault could hit: a child that is not there yet, two shards that lie side by side."""


def nothing() -> None:
    """To heal: it does so by itself, or is started again."""


def one_of(found: Sequence[T], fault: Planned) -> T:
    """The one that the fault aims at."""
    if not found:
        raise NoTarget(fault.kind)
    return found[int(fault.aim * len(found))]


def kill_child(parts: Parts, fault: Planned) -> Injected:
    """One shard's process."""
    shard, pid = one_of(sorted(parts.children().items()), fault)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return f"{shard}, pid {pid}", nothing


def kill_jvm(parts: Parts, fault: Planned) -> Injected:
    """One consumer's KCL; its children are orphans then."""
    jvm = one_of(parts.jvms(), fault)
    with suppress(psutil.NoSuchProcess):
        jvm.kill()
    return f"pid {jvm.pid}", nothing


def kill_supervisor(parts: Parts, fault: Planned) -> Injected:
    """One consumer's first process; its JVM is an orphan then."""
    name = one_of([name for name in CONSUMERS if parts.part(name)], fault)
    parts.kill(name)
    return name, nothing


def kill_producer(parts: Parts, fault: Planned) -> Injected:
    """In the middle of whatever it does."""
    one_of([PRODUCER] if parts.part(PRODUCER) else [], fault)
    parts.kill(PRODUCER)
    return PRODUCER, nothing


def kill_mongod(parts: Parts, fault: Planned) -> Injected:
    """It comes back with what its journal holds."""
    parts.kill_mongod()
    return "mongod", nothing


def pause_child(parts: Parts, fault: Planned) -> Injected:
    """One shard's process stands still; KCL goes on renewing its lease."""
    shard, pid = one_of(sorted(parts.children().items()), fault)
    return f"{shard}, pid {pid}", stand_still([pid])


def pause_worker(parts: Parts, fault: Planned) -> Injected:
    """KCL and its children stand still for longer than their leases last: the other worker takes them over, and those who wake up
    are zombies."""
    pids = one_of([pids for pids in map(family, parts.jvms()) if len(pids) > 1], fault)
    return f"pids {pids}", stand_still(pids)


def family(jvm: psutil.Process) -> list[int]:
    """Its pid and those of its children; none if it has just ended."""
    with suppress(psutil.NoSuchProcess):
        return [jvm.pid, *(p.pid for p in jvm.children(recursive=True))]
    return []


def pause_producer(parts: Parts, fault: Planned) -> Injected:
    """With requests in the air."""
    process = one_of([p for p in [parts.part(PRODUCER)] if p is not None], fault)
    return PRODUCER, stand_still([process.pid])


def stand_still(pids: Sequence[int]) -> Heal:
    """SIGSTOP, until healed."""
    stopped: list[Known] = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            stopped.append(known(pid))
            psutil.Process(pid).suspend()
    return partial(go_on, stopped)


def go_on(stopped: Sequence[Known]) -> None:
    """Those that are still there."""
    for who in stopped:
        process = find(who)
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def trouble(parts: Parts, fault: Planned) -> Injected:
    """PutRecords, for a while."""
    return f"for {fault.lasts:.1f} s", parts.proxy.trouble(fault.kind)


def split(parts: Parts, fault: Planned) -> Injected:
    """An open shard in the middle of its hashes."""
    found = open_shards(parts)
    shard = one_of(found, fault)
    low, high = hashes(shard)
    asked = {"ShardToSplit": shard["ShardId"], "NewStartingHashKey": str((low + high + 1) // 2)}
    return reshard(parts.kinesis.split_shard, parts, asked), nothing


def merge(parts: Parts, fault: Planned) -> Injected:
    """Two open shards that lie side by side."""
    found = open_shards(parts)
    low, high = one_of(list(pairwise(found)), fault)
    asked = {"ShardToMerge": low["ShardId"], "AdjacentShardToMerge": high["ShardId"]}
    return reshard(parts.kinesis.merge_shards, parts, asked), nothing


def reshard(ask: Callable[..., Any], parts: Parts, asked: Mapping[str, str]) -> str:
    """Unless the stream is in the middle of another one."""
    try:
        ask(StreamName=parts.spec.stream.name, **asked)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceInUseException", "LimitExceededException"):
            raise NoTarget(str(error)) from None
        raise
    return ", ".join(v for v in asked.values() if v.startswith("shardId"))


def open_shards(parts: Parts) -> list[dict[str, Any]]:
    """In the order of their hashes."""
    found = parts.kinesis.list_shards(StreamName=parts.spec.stream.name)["Shards"]
    return sorted((s for s in found if not s["SequenceNumberRange"].get("EndingSequenceNumber")), key=hashes)


def hashes(shard: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and the highest that it holds."""
    place = shard["HashKeyRange"]
    return int(place["StartingHashKey"]), int(place["EndingHashKey"])


FAULTS: Mapping[str, Callable[[Parts, Planned], Injected]] = {
    "kill child": kill_child,
    "kill JVM": kill_jvm,
    "kill supervisor": kill_supervisor,
    "kill producer": kill_producer,
    "kill mongod": kill_mongod,
    "pause child": pause_child,
    "pause worker": pause_worker,
    "pause producer": pause_producer,
    **dict.fromkeys(PUTS, trouble),
    "split": split,
    "merge": merge,
}
