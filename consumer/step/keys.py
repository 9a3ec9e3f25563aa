"""What is in memory of each key, and its saved bytes: its windows, the last change of each trigger, its watchers' states.

The bytes are msgpack of [VERSION, {trigger: token}, {view: watcher's bytes}, the engine's bytes or None].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from consumer.step.silences import Watching
from consumer.store.contract import BEFORE_ALL, KeyState, Position
from windows.engine import Engine, Key, StateMismatch

VERSION = 1


class Saved(msgspec.Struct, array_like=True, frozen=True):
    """A key's bytes, taken apart. tokens: trigger -> resume token of the last change that counted."""

    version: int
    tokens: dict[str, str]
    watched: dict[str, bytes]
    windows: bytes | None


@dataclass(slots=True)
class Known:
    """A key in memory. hash: the 128-bit Kinesis hash of its partition key. due: the time that it was last saved with, or loaded.
    saved_by, saved_at: the shard and the position that it was loaded with."""

    hash: int
    tokens: dict[str, str] = field(default_factory=dict)
    due: int | None = None
    saved_by: str = ""
    saved_at: Position = BEFORE_ALL


class KeyBook:
    """The keys in memory. The engine and the watchers hold their own part of a key; here is the rest, and the whole as bytes."""

    def __init__(self, engine: Engine, watching: Watching) -> None:
        self._engine = engine
        self._watching = watching
        self.known: dict[Key, Known] = {}

    def load(self, states: Mapping[Key, KeyState]) -> None:
        """Take saved keys up. Raises StateMismatch for bytes that cannot be read."""
        windows: dict[Key, bytes] = {}
        for key, state in states.items():
            saved = unpack(state.data)
            self.known[key] = Known(state.hash, dict(saved.tokens), state.due, state.shard, state.position)
            self._watching.load(key, state.hash, saved.watched)
            if saved.windows is not None:
                windows[key] = saved.windows
        self._engine.load(windows)

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

    def dues(self, keys: Collection[Key]) -> dict[Key, int | None]:
        """When something of each key happens next, in its windows or by its silence."""
        windows = self._engine.dues(keys)
        both = {key: (windows.get(key), self._watching.due(key)) for key in keys}
        return {key: min((due for due in pair if due is not None), default=None) for key, pair in both.items()}

    def states(self, keys: Collection[Key], shard: str, position: Position) -> list[KeyState]:
        """The keys as they are to be saved, at a position of a shard."""
        windows, dues = self._engine.dump(keys), self.dues(keys)
        saved = []
        for key in keys:
            known = self.known[key]
            known.due = dues[key]
            data = pack(Saved(VERSION, known.tokens, self._watching.dump(key), windows.get(key)))
            saved.append(KeyState(key, known.hash, known.due, data, shard, position))
        return saved

    def moved_on(self, keys: Collection[Key]) -> list[Key]:
        """Those whose next due time is not what they were saved with: time has passed, and nothing else has changed."""
        return [key for key, due in self.dues(keys).items() if due != self.known[key].due]


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
