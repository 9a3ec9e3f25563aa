"""The saved state of a key: one version byte, a checksum, and msgpack of plain values.

Byte 0 is VERSION, bytes 1-4 are the CRC-32 of the rest (big endian), the rest is msgpack of [floor, {fingerprint of a window set:
its section}], where floor is the watermark that the key was last changed under.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from windows.engine import StateMismatch
from windows.naive.event import Kept, Window
from windows.packing import Packer

VERSION = 1


def seal(floor: int, sections: dict[str, Any]) -> bytes:
    """The bytes of a key."""
    body = msgspec.msgpack.encode([floor, sections])
    return bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + body


def unseal(data: bytes) -> tuple[int, dict[str, Any]]:
    """Inverse of seal. Raises StateMismatch."""
    if not data or data[0] != VERSION:
        raise StateMismatch(f"state of version {data[:1].hex() or 'nothing'}, this engine reads {VERSION}")
    if zlib.crc32(data[5:]).to_bytes(4, "big") != data[1:5]:
        raise StateMismatch("damaged state: its checksum does not hold")
    floor, sections = msgspec.msgpack.decode(data[5:])
    return floor, sections


def dump_windows(windows: Iterable[Window], packer: Packer) -> Any:
    """Windows and their events, each event once: [[t, doc, value, ...], ...], [window, ...]."""
    places: dict[Kept, int] = {}
    rows = []
    for w in windows:
        held = [places.setdefault(e, len(places)) for e in w.events]
        rows.append([w.start, w.end, w.revision, w.final, w.ever, w.closed_by, held, sorted(places[e] for e in w.late)])
    return [[[e.t, packer.plain(e.doc), *map(packer.plain, e.values)] for e in places], rows]


def nothing(section: Any) -> bool:
    """Whether a section has neither events nor windows in it."""
    return bool(section[:2] == [[], []])


def load_windows(section: Any, packer: Packer) -> list[Window]:
    """Inverse of dump_windows."""
    events = [Kept(t, tuple(packer.values(values)), packer.value(doc)) for t, doc, *values in section[0]]
    windows = []
    for start, end, revision, final, ever, closed_by, held, late in section[1]:
        w = Window(start, end, [events[i] for i in held])
        w.revision, w.final, w.ever, w.closed_by = revision, final, ever, closed_by
        w.late = {events[i] for i in late}
        windows.append(w)
    return windows
