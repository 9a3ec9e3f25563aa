"""What is in memory of each key, and its saved bytes: its windows, the last change of each trigger, its watchers' states.

The bytes are msgpack of [VERSION, {trigger: token}, {view: watcher's bytes}, the engine's bytes or None].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from consumer.step.silences import Watching
from consumer.store.contract import KeyState
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
    """A key in memory. hash: the 128-bit Kinesis hash of its partition key."""

    hash: int
    tokens: dict[str, str] = field(default_factory=dict)


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
            self.known[key] = Known(state.hash, dict(saved.tokens))
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

    def waiting(self) -> set[Key]:
        """The keys that wait for something."""
        return {key for key, due in self.dues(self.known).items() if due is not None}

    def states(self, keys: Collection[Key], over: bool) -> list[KeyState]:
        """The keys as they are to be saved. over: nothing is due for them any more, the file has ended."""
        windows, dues = self._engine.dump(keys), self.dues(keys)
        saved = []
        for key in keys:
            known = self.known[key]
            data = pack(Saved(VERSION, known.tokens, self._watching.dump(key), windows.get(key)))
            saved.append(KeyState(key, known.hash, None if over else dues[key], data))
        return saved


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
