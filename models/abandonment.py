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
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from config.specs import Abandonment
from contract.values import bson_value, date, get, to_json
from models.base import Doc, Happening, Signal
from models.features import Named
from models.silences import Run, Runs, answered, joined

VERSION = 1


class Cart(msgspec.Struct, frozen=True):
    """What is remembered of one cart: its key (a BSON value) and its runs by time."""

    key: Any
    runs: Runs = ()


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
        runs, place, ended = joined(cart.runs, self._run(happening), self._spec.gap)
        after = Cart(cart.key, runs)
        gone = [Signal(self.view, _id(cart.key, run.end), None) for run in ended if run.judged]
        changed = [i for i in range(place) if runs[i].judged and answered(runs, i) != answered(cart.runs, i)]
        return after, [*gone, *(self._signal(after, i) for i in changed)]

    def on_time(self, state: Cart, watermark: int) -> tuple[Cart | None, Sequence[Signal]]:
        """Judges silences, then forgets what was judged long ago."""
        late = [i for i, run in enumerate(state.runs) if self._waits(run) and self._judged(run.end) <= watermark]
        runs = tuple(msgspec.structs.replace(run, judged=True) if i in late else run for i, run in enumerate(state.runs))
        cart = Cart(state.key, runs)
        signals = [self._signal(cart, i) for i in late]
        kept = tuple(run for run in runs if self._frozen(run.end) > watermark)
        return (Cart(state.key, kept) if kept else None), signals

    def due(self, state: Cart) -> int | None:
        """The first silence to judge, or the first run to forget."""
        judge = [self._judged(run.end) for run in state.runs if self._waits(run)]
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

    def _judged(self, since: int) -> int:
        return since + self._spec.gap + self._spec.lateness

    def _frozen(self, at: int) -> int:
        return self._judged(at) + self._spec.keep

    def _signal(self, cart: Cart, place: int) -> Signal:
        run = cart.runs[place]
        by, at = answered(cart.runs, place)
        document: Doc = {
            "_id": _id(cart.key, run.end),
            "key": cart.key,
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
