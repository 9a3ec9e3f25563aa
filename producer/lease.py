"""One producer at a time: a lease on a stream, kept beside the bookmarks, in the time of MongoDB's server alone.

    first    take 1 ──renew── renew ──── killed
    second        stands by ─────────────────── until is past: take 2 ──renew──
    first                    (was only paused)                     renew: Fenced; its bookmarks match nothing

The epoch is what fences: it grows with every owner, the bookmarks carry it, and whoever saves one names his own. The time only says
when another may try. An owner that could not renew in time puts nothing and promises nothing until it has asked again.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from bson import DatetimeMS
from pymongo import ReturnDocument, WriteConcern
from pymongo.collection import Collection

from config.specs import Pipeline
from contract.errors import Fatal, Fenced, Misconfigured, Retryable
from edge.mongo import Client
from producer.mongo import Document, in_our_words

log = structlog.get_logger("producer")
LEASES, BOOKMARKS = "_leases", "_bookmarks"
RENEWALS = 4  # in the time of one lease
LOOKS = 0.5  # s between two looks of one that stands by
BOOT, SPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that relays. seat: a machine's start and the numbering of its processes; "" where nobody tells. id: its own."""

    host: str
    pid: int
    seat: str
    id: str

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"

    @property
    def document(self) -> Document:
        """As it stands in the lease."""
        return {"host": self.host, "pid": self.pid, "seat": self.seat, "id": self.id}


def ourselves(worker: str | None) -> Owner:
    """This process. worker: a name in place of the host's (EDDY_WORKER)."""
    try:
        seat = f"{BOOT.read_text().strip()}/{os.readlink(SPACE)}"
    except OSError:
        seat = ""
    return Owner(worker or socket.gethostname(), os.getpid(), seat, uuid.uuid4().hex)


def law(spec: Pipeline) -> str:
    """Names what is relayed, so that two who would relay different things are told from one another."""
    return hashlib.sha256(repr((spec.stream.format, spec.triggers)).encode()).hexdigest()[:12]


class Lease:
    """The lease of one stream. law: see `law`; term: s that it holds without being renewed. Raises Retryable, Misconfigured."""

    def __init__(
        self,
        client: Client,
        database: str,
        stream: str,
        law: str,
        me: Owner,
        term: float,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        db = client.get_database(database, write_concern=WriteConcern("majority"))
        self._leases: Collection[Document] = db[LEASES]
        self._bookmarks: Collection[Document] = db[BOOKMARKS]
        self._stream, self._law, self._term, self._steady = stream, law, term, steady
        self.me, self.epoch = me, 0
        self.lost: Fatal | None = None
        self._sure_until = float("-inf")
        self._given_up = threading.Event()

    def take(self) -> Owner | None:
        """Try once: None where it is ours now, else who holds it. Raises Misconfigured where that one relays something else."""
        asked = self._steady()
        with in_our_words(f"taking the lease on {self._leases.full_name}"):
            self._make()
            found = self._claim({"$or": [{"$expr": {"$lt": ["$until", "$$NOW"]}}, {"owner.id": self.me.id}]})
            if found is None:
                found = self._leases.find_one({"_id": self._stream}) or {}
                holder = _owner(found)
                if not _dead(holder, self.me):
                    self._refuse_others(found, holder)
                    return holder
                found = self._claim({"epoch": found["epoch"]})  # its process is gone, which this machine can see
                if found is None:
                    return holder
        self.epoch, self._sure_until = int(found["epoch"]), asked + self._term
        return None

    def holder(self) -> Owner | None:
        """Who holds it now, if anybody does who may live."""
        with in_our_words(f"reading {self._leases.full_name}"):
            found = self._leases.find_one({"_id": self._stream, "$expr": {"$gte": ["$until", "$$NOW"]}})
        holder = _owner(found) if found else None
        return None if holder is None or _dead(holder, self.me) else holder

    def renew(self) -> None:
        """Hold it for one more term. Raises Fenced where another one has taken it."""
        asked = self._steady()
        with in_our_words(f"renewing the lease on {self._leases.full_name}"):
            done = self._leases.update_one({"_id": self._stream, "epoch": self.epoch}, [{"$set": {"until": self._end()}}])
            if not done.matched_count:
                found = self._leases.find_one({"_id": self._stream})
                raise Fenced(
                    f"{_owner(found) if found else 'somebody'} relays this stream now: this process did not renew its lease for"
                    f" {self._term:g} s. What it had not yet saved as relayed, the other one relays. Started again it stands by"
                )
        self._sure_until = asked + self._term

    def held(self) -> bool:
        """Whether it is surely ours still, so that we may put something."""
        return self.lost is None and self._steady() < self._sure_until

    def keep(self, lost: Callable[[], None]) -> None:
        """Renew it from now on, in a thread beside; `lost` is called where that cannot be, and `self.lost` says why."""
        threading.Thread(target=self._keep, args=(lost,), name="lease", daemon=True).start()

    def release(self) -> None:
        """Give it up at once, so that who stands by need not wait."""
        self._given_up.set()
        with in_our_words(f"giving up the lease on {self._leases.full_name}"):
            self._leases.update_one({"_id": self._stream, "epoch": self.epoch}, {"$set": {"until": DatetimeMS(0)}})
        self._sure_until = float("-inf")

    def _keep(self, lost: Callable[[], None]) -> None:
        away = False
        while not self._given_up.wait(self._term / RENEWALS):
            try:
                self.renew()
                if away:
                    log.info("lease renewed again")
                away = False
            except Retryable as error:
                if not away:
                    log.warning("lease not renewed: nothing is put once it has run out, until it is", why=str(error))
                away = True
            except Fatal as error:
                self.lost = error
                lost()
                return

    def _make(self) -> None:
        """Where there is none: above the bookmarks' epochs, whatever somebody has deleted."""
        if self._leases.find_one({"_id": self._stream}, {"_id": 1}) is None:
            last = self._bookmarks.find_one({"stream": self._stream, "epoch": {"$exists": True}}, sort=[("epoch", -1)])
            fresh = {"epoch": int(last["epoch"]) if last else 0, "until": DatetimeMS(0), "owner": None}
            self._leases.update_one({"_id": self._stream}, {"$setOnInsert": fresh}, upsert=True)

    def _claim(self, where: Document) -> Document | None:
        new = {"owner": {"$literal": self.me.document}, "law": self._law, "until": self._end(), "taken_at": "$$NOW"}
        return self._leases.find_one_and_update(
            {"_id": self._stream, **where},
            [{"$set": {**new, "epoch": {"$add": ["$epoch", 1]}}}],
            return_document=ReturnDocument.AFTER,
        )

    def _end(self) -> Document:
        return {"$add": ["$$NOW", round(self._term * 1000)]}

    def _refuse_others(self, found: Document, holder: Owner) -> None:
        if found.get("law") != self._law:
            raise Misconfigured(
                f"stream.name: {holder} relays into {self._stream} with other triggers than these ({found.get('law')}, here"
                f" {self._law}). One stream has one set of triggers: stop that producer, then start this one; or give this one a"
                " stream of its own. To stand by for it, it needs the same triggers in its pipeline.toml"
            )


def _owner(found: Document) -> Owner:
    owner: dict[str, Any] = found.get("owner") or {}
    return Owner(str(owner.get("host", "?")), int(owner.get("pid", 0)), str(owner.get("seat", "")), str(owner.get("id", "")))


def _dead(owner: Owner, me: Owner) -> bool:
    """Whether its process was on this machine, since its last start, and is no more."""
    if not owner.seat or owner.seat != me.seat or owner.pid <= 0:
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
