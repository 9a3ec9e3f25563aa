"""What is in memory of each key, and its saved bytes: its windows, the last change of each trigger, its watchers' states.

The bytes are msgpack of [VERSION, {trigger: token}, {view: watcher's bytes}, the engine's bytes or None, the watermark at the key's
last record].

A key is forgotten some time after its last record, by the watermark: once nothing is left of its windows and watchers, its state
goes from the store. From that time on, wherever its state is, a change of it is taken for a new one: a repeat as old as that, which
only who goes back by hand in the change stream can make, is judged late, as any event of its age.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from config.specs import Pipeline
from consumer.dues import AHEAD
from consumer.step.silences import Watching
from consumer.store.contract import BEFORE_ALL, KeyState, Position
from windows.engine import NEVER, Engine, Key, Segments, StateMismatch
from windows.law.spec import Kind, Rolling, Session

VERSION = 1
LEAST = 86_400_000  # ms
NOTHING_APART = Segments()


class Saved(msgspec.Struct, array_like=True, frozen=True):
    """A key's bytes, taken apart. tokens: trigger -> resume token of the last change that counted. last: the watermark at the key's
    last record; unknown where a release before this one has saved it."""

    version: int
    tokens: dict[str, str]
    watched: dict[str, bytes]
    windows: bytes | None
    last: int = NEVER


@dataclass(slots=True)
class Known:
    """A key in memory. hash: the 128-bit Kinesis hash of its partition key. due: the time that it was last saved with, or loaded.
    saved_by, saved_at: the shard and the position that it was loaded with. last: the watermark at its last record."""

    hash: int
    tokens: dict[str, str] = field(default_factory=dict)
    due: int | None = None
    saved_by: str = ""
    saved_at: Position = BEFORE_ALL
    last: int = NEVER


class KeyBook:
    """The keys in memory. The engine and the watchers hold their own part of a key; here is the rest, and the whole as bytes."""

    def __init__(self, engine: Engine, watching: Watching, forget: int) -> None:
        """forget: ms from a key's last record to where nothing may be left of it."""
        self._engine, self._watching, self.forget = engine, watching, forget
        self.known: dict[Key, Known] = {}

    def load(self, states: Mapping[Key, KeyState]) -> None:
        """Take saved keys up. Raises StateMismatch for bytes that cannot be read."""
        windows: dict[Key, bytes] = {}
        for key, state in states.items():
            saved = unpack(state.data)
            self.known[key] = Known(state.hash, dict(saved.tokens), state.due, state.shard, state.position, saved.last)
            self._watching.load(key, state.hash, saved.watched)
            if saved.windows is not None:
                windows[key] = saved.windows
        self._engine.load(windows, {key: states[key].segments for key in windows if states[key].held})

    def meet(self, keys: Sequence[Key], hashes: Sequence[int]) -> None:
        """Keys of a batch: those that nothing is known of start empty."""
        for i, key in enumerate(keys):
            if key not in self.known:
                self.known[key] = Known(hashes[i])

    def evict(self, keys: Collection[Key]) -> None:
        """Forget keys; their states are saved."""
        self._engine.evict(keys)
        for key in keys:
            self._watching.evict(key)
            del self.known[key]

    def forgotten(self, key: Key, watermark: int) -> bool:
        """Whether the key's last record lies so far back that it is not known any more."""
        last = self.known[key].last
        return last > NEVER and watermark >= last + self.forget

    def dues(self, keys: Collection[Key], watermark: int) -> dict[Key, int | None]:
        """When something of each key happens next, in its windows, by its silence, or as it is forgotten."""
        windows = self._engine.dues(keys)
        return {
            key: min((d for d in self._happens(key, windows.get(key), watermark) if d is not None), default=None) for key in keys
        }

    def ends(self, key: Key) -> int | None:
        """When it is looked whether anything is left of the key; whoever looks ahead by AHEAD then finds it forgotten."""
        last = self.known[key].last
        return None if last == NEVER else last + self.forget + AHEAD

    def _happens(self, key: Key, windows: int | None, watermark: int) -> tuple[int | None, ...]:
        return windows, self._watching.due(key), None if self.forgotten(key, watermark) else self.ends(key)

    def states(
        self, keys: Collection[Key], shard: str, position: Position, watermark: int
    ) -> tuple[list[KeyState], dict[tuple[Key, int], bytes | None]]:
        """The keys as they are to be saved, at a position of a shard: without data where nothing is left of a key; and the segments
        that are to be written or removed, as in Effects."""
        windows, dues = self._engine.dump(keys), self.dues(keys, watermark)
        saved, segments = list[KeyState](), dict[tuple[Key, int], bytes | None]()
        for key in keys:
            known, own, watched = self.known[key], windows.get(key), self._watching.dump(key)
            known.due = dues[key]
            left = watched or not self.forgotten(key, watermark) or (own is not None and self._engine.holds(own))
            data = pack(Saved(VERSION, known.tokens, watched, own, known.last)) if left else b""
            apart = windows.segments.get(key, NOTHING_APART)
            segments |= {(key, n): bytes_ for n, bytes_ in apart.new.items()} | {(key, n): None for n in apart.gone}
            saved.append(KeyState(key, known.hash, known.due, data, shard, position, apart.held))
        return saved, segments

    def moved_on(self, keys: Collection[Key], watermark: int) -> list[Key]:
        """Those whose next due time at a watermark is not what they were saved with: time alone has passed."""
        return [key for key, due in self.dues(keys, watermark).items() if due != self.known[key].due]


def remembered(spec: Pipeline) -> int:
    """How long, in ms of the watermark, a key is known after its last record: a day, or until time alone empties its windows."""
    sets = [_reach(s.kind) + s.lateness + s.retain for s in spec.windows]
    carts = spec.abandonment
    silences = [] if carts is None else [carts.gap + carts.lateness + carts.keep]
    ahead = spec.stream.max_future + spec.stream.out_of_order + spec.stream.settle
    return max([LEAST, *sets, *silences]) + ahead


def _reach(kind: Kind) -> int:
    """How long after an event its window may end."""
    if isinstance(kind, Session):
        return kind.gap
    return kind.size + kind.delay + max(kind.size // 60, 1_000) if isinstance(kind, Rolling) else kind.size


def pack(saved: Saved) -> bytes:
    """A key's bytes."""
    return _encode(saved)


def unpack(data: bytes) -> Saved:
    """Inverse of pack. Raises windows.engine.StateMismatch for bytes of another version, or none of ours."""
    try:
        saved = _decode(data)
    except msgspec.DecodeError as error:
        raise StateMismatch(f"a key's state cannot be read: {error}") from None
    if saved.version != VERSION:
        raise StateMismatch(f"a key's state of version {saved.version}; this consumer reads {VERSION}")
    return saved


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Saved).decode
