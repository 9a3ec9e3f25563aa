"""Values of any type as plain ones, for the saved state of keys, and back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from windows.engine import StateMismatch

Pack = Callable[[Hashable], bytes]
Unpack = Callable[[bytes], Hashable]
BIG, TUPLE, OPAQUE = 0, 1, 2  # a list where a value should be: its first item says what it stands for
PLAIN = (str, float, bool, bytes, type(None))
INT64 = range(-(1 << 63), 1 << 63)


class Packer:
    """Values to plain values and back. None, texts, numbers, booleans, bytes and tuples of them are known here; for any other
    hashable value (ObjectId, datetime, UUID, ...) the caller brings `pack` and its inverse `unpack`. Equal values of different
    types must come back as what they were."""

    def __init__(self, pack: Pack | None = None, unpack: Unpack | None = None) -> None:
        self._pack, self._unpack = pack, unpack

    def plain(self, value: Any) -> Any:
        """A value as msgpack knows it. Raises TypeError for a type that there is no `pack` for."""
        kind = type(value)
        if kind in PLAIN or (kind is int and value in INT64):
            return value
        if kind is int:
            return [BIG, str(value)]
        if kind is tuple:
            return [TUPLE, *map(self.plain, value)]
        if self._pack is None:
            raise TypeError(f"a value of type {kind.__name__} needs the engine's pack and unpack")
        return [OPAQUE, self._pack(value)]

    def value(self, plain: Any) -> Any:
        """Inverse of plain."""
        if not isinstance(plain, list):
            return plain
        tag, rest = plain[0], plain[1:]
        if tag == BIG:
            return int(rest[0])
        if tag == TUPLE:
            return tuple(map(self.value, rest))
        if tag != OPAQUE or self._unpack is None:
            raise StateMismatch(f"a saved value of kind {tag!r} cannot be read without its unpack")
        return self._unpack(rest[0])

    def values(self, plain: Iterable[Any]) -> list[Any]:
        """Inverse of plain, for each."""
        return [self.value(p) if isinstance(p, list) else p for p in plain]
