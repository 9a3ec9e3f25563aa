"""Many keys as bytes in one pass: what releases before have saved is read, and what is written says the same."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from tests.windows.build import columns, window_set
from tests.windows.columnar import states
from windows.columnar.engine import ColumnarEngine
from windows.columnar.state import VERSION, unseal
from windows.law.spec import Tumbling

BEFORE = json.loads((Path(__file__).parent / "states_v5.json").read_text())


@pytest.mark.parametrize("name", BEFORE)
def test_what_a_release_before_has_saved_is_what_these_events_leave(name: str) -> None:
    [now] = [engine for found, engine in states.engines() if found == name]
    dumps = now.dump(now.loaded())
    anew = ColumnarEngine(states.sets()[name])
    anew.watermark = now.watermark
    anew.load({("k", key): base64.b64decode(data) for key, data in BEFORE[name].items()})
    assert anew.dump(dumps.keys()) == dumps
    assert anew.dues(dumps.keys()) == now.dues(dumps.keys())


@pytest.mark.parametrize("chunk", [1, 2, 1_000])
def test_how_many_keys_are_dumped_at_once_never_shows(chunk: int) -> None:
    specs = states.sets()["all"]
    engine = ColumnarEngine(specs)
    rows = [{**row, "key": f"{row['key']}{n % 40}"} for n, row in enumerate(states.rows()) if not row.get("take")]
    engine.step(columns(specs, [*rows, {"at": 300, "key": "a0", "fields": {"x": 1.0, "shop": 0.0}}]))
    keys = [*engine.loaded(), ("k", "nobody")]
    each = {}
    for begin in range(0, len(keys), chunk):
        each |= engine.dump(keys[begin : begin + chunk])
    assert each == {key: engine.dump([key])[key] for key in keys}
    assert not engine.holds(each["k", "nobody"])
    for data in each.values():
        saved = unseal(data)
        assert data == bytes([VERSION]) + zlib.crc32(data[5:]).to_bytes(4, "big") + data[5:]
        assert len({msgspec.msgpack.encode(value) for value in saved.values}) == len(saved.values)
        assert structs.replace(saved) == msgspec.msgpack.decode(msgspec.msgpack.encode(saved), type=type(saved))


def test_a_value_that_nobody_can_write_leaves_other_keys_as_they_are() -> None:
    specs = [window_set("w", Tumbling(10), measures={"l": "last(shop)"})]
    engine = ColumnarEngine(specs)
    rows = [{"at": 1, "key": "a", "fields": {"shop": "x"}}, {"at": 1, "key": "b", "fields": {"shop": frozenset()}}]
    engine.step(columns(specs, rows))
    before = engine.dump([("k", "a")])
    with pytest.raises(TypeError, match="frozenset"):
        engine.dump([("k", "a"), ("k", "b")])
    assert engine.dump([("k", "a")]) == before
