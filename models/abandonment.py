"""Abandoned carts: a signal for each silence of at least `gap` that something was left behind in.

    event time  0    5m       40m                       gap 30m, lateness 3s
                add  add      add
                |----|........|......
                     ^ since  ^ activity: retracts
                         raised when the watermark reaches since + gap + lateness

A silence is judged by the cart's events alone, so when the watermark passes decides nothing but the moment of writing. An event
is forgotten `keep` after its silence could be judged: its signal then stays as it is, and events as old as that change nothing.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from config.specs import Abandonment
from contract.values import bson_value, date, get, to_json
from models.base import Doc, Happening, Signal
from models.features import Named
from models.silences import Answer, Run, Runs, answers, joined

VERSION = 1


class Cart(msgspec.Struct, frozen=True):
    """What is remembered of one cart: its key (a BSON value) and its runs by time. Of the runs before `waits` none waits for its
    silence to be judged; so what an event costs does not grow with how many runs there are."""

    key: Any
    runs: Runs = ()
    waits: int = 0


class AbandonmentWatcher:
    """A models.base.Watcher of `[abandonment]`: writes contract.views.SignalDoc."""

    def __init__(self, spec: Abandonment) -> None:
        self._spec = spec
        self._config = fingerprint(spec)
        self.trigger, self.route, self.view = spec.trigger, spec.key, spec.view

    def on_event(self, state: Cart | None, happening: Happening, watermark: int) -> tuple[Cart | None, Sequence[Signal]]:
        """Takes the event in; signals of silences that it falls into go, others may be retracted by it."""
        if self._frozen(happening.at) <= watermark:
            return state, ()
        cart = state or Cart(happening.key)
        now = joined(cart.runs, self._run(happening), self._spec.gap)
        gone = [Signal(self.view, _id(cart.key, run.end), None) for run in now.ended if run.judged]
        old, new = (answers(runs, now.begin, now.place) for runs in (cart.runs, now.runs))
        changed = [
            self._signal(cart.key, now.runs[i], answer)
            for i, (before, answer) in enumerate(zip(old, new, strict=True), start=now.begin)
            if now.runs[i].judged and before != answer
        ]
        waits = self._waiting(now.runs, min(cart.waits, now.place))
        return Cart(cart.key, now.runs, waits), [*gone, *changed]

    def on_time(self, state: Cart, watermark: int) -> tuple[Cart | None, Sequence[Signal]]:
        """Judges silences, then forgets what was judged long ago."""
        begin, end = state.waits, bisect_right(state.runs, watermark, key=lambda run: self._judged(run.end))
        due = [msgspec.structs.replace(run, judged=True) if self._waits(run) else run for run in state.runs[begin:end]]
        runs = (*state.runs[:begin], *due, *state.runs[begin + len(due) :])
        told = zip(state.runs[begin:end], due, answers(runs, begin, begin + len(due)), strict=True)
        signals = [self._signal(state.key, run, answer) for before, run, answer in told if run is not before]
        gone = bisect_right(runs, watermark, key=lambda run: self._frozen(run.end))
        waits = max(self._waiting(runs, begin) - gone, 0)
        return (Cart(state.key, runs[gone:], waits) if gone < len(runs) else None), signals

    def due(self, state: Cart) -> int | None:
        """The first silence to judge, or the first run to forget."""
        first = self._waiting(state.runs, state.waits)
        judge = [self._judged(state.runs[first].end)] if first < len(state.runs) else []
        return min([*judge, *(self._frozen(run.end) for run in state.runs[:1])], default=None)

    def dump(self, state: Cart) -> bytes:
        """msgpack of [version, key, runs], BSON's types as relaxed Extended JSON."""
        return msgspec.msgpack.encode((VERSION, to_json(state.key), [_plain(run) for run in state.runs]))

    def load(self, data: bytes) -> Cart:
        """Inverse of dump. Raises ValueError for bytes of another version."""
        version, key, runs = _STATE.decode(data)
        if version != VERSION:
            raise ValueError(f"{self.view}: a cart's state of version {version}, this one reads {VERSION}")
        return Cart(bson_value(key), tuple(msgspec.structs.replace(run, items=bson_value(run.items)) for run in runs))

    def _run(self, happening: Happening) -> Run:
        named = Named(happening.document, {})
        items = get(happening.document, self._spec.items)
        bought = self._spec.purchase.holds(named.get)
        return Run(
            start=happening.at,
            end=happening.at,
            items=items if isinstance(items, list) else None,
            value=named.get(self._spec.value, "number"),
            bought=bought,
            purchase=happening.at if bought else None,
        )

    def _waits(self, run: Run) -> bool:
        return run.leaves and not run.judged

    def _waiting(self, runs: Runs, begin: int) -> int:
        """The first run from `begin` on whose silence is still to be judged; how many there are, if none is."""
        return next((i for i in range(begin, len(runs)) if self._waits(runs[i])), len(runs))

    def _judged(self, since: int) -> int:
        return since + self._spec.gap + self._spec.lateness

    def _frozen(self, at: int) -> int:
        return self._judged(at) + self._spec.keep

    def _signal(self, key: Any, run: Run, answer: Answer) -> Signal:
        by, at = answer
        document: Doc = {
            "_id": _id(key, run.end),
            "key": key,
            "since": date(run.end),
            "raised_at": date(self._judged(run.end)),
            "items": run.items,
            "value": run.value,
            "status": "raised" if by is None else "retracted",
            "retracted_by": by,
            "retracted_at": None if at is None else date(at),
            "config": self._config,
        }
        return Signal(self.view, document["_id"], document)


def fingerprint(spec: Abandonment) -> str:
    """The name of this very law on carts, for signal documents."""
    said = (spec.trigger, spec.key, spec.gap, spec.purchase.source, spec.items, spec.value, spec.lateness, spec.keep)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


def _id(key: Any, since: int) -> Mapping[str, Any]:
    return {"k": key, "s": date(since)}


def _plain(run: Run) -> Run:
    return msgspec.structs.replace(run, items=to_json(run.items))


_STATE = msgspec.msgpack.Decoder(tuple[int, Any, tuple[Run, ...]])
