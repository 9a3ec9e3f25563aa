"""make doctor: what is wrong is found, on real parts, and comes with what to do; no secret is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from config.load import load
from config.specs import Pipeline
from sandbox import aws, check_machine, check_mongo, doctor, mongod, stack, state
from sandbox.finding import Finding, run
from sandbox.processes import stop
from sandbox.rewind import make_stream

ROOT = Path(__file__).parents[2]
EVERYTHING = Path(__file__).with_name("everything.toml")
SECRET = "4-secret-word"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    home = tmp_path_factory.mktemp("doctor")
    yield stack.up(home, leashed=True)
    stack.down(home, say=False)


@pytest.fixture(scope="module")
def spec() -> Pipeline:
    return load(EVERYTHING)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No address and no sandbox, unless a test says so."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "MONGODB_", "EDDY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDDY_SANDBOX", str(tmp_path / "none"))
    monkeypatch.setenv("EDDY_CONFIG", str(EVERYTHING))
    monkeypatch.chdir(ROOT)


def found(name: str) -> Finding:
    """The finding of that name, of all of them."""
    return {f.name: f for f in doctor.examine()}[name]


def wrong() -> dict[str, Finding]:
    """Everything that is wrong, each with what to do."""
    bad = {f.name: f for f in doctor.examine() if f.state == "wrong"}
    assert all(f.do for f in bad.values())
    assert all(SECRET not in f.text() for f in bad.values())
    return bad


def test_without_a_sandbox_it_says_so_and_nothing_is_wrong() -> None:
    assert wrong() == {}
    assert "make sandbox-start" in found("MongoDB").what
    assert found("Kinesis, DynamoDB").state == "skipped"


def test_with_a_sandbox_everything_is_checked(parts: stack.Running, spec: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDY_SANDBOX", str(parts.home))
    assert "create-stream" in wrong()["stream"].do
    make_stream(parts, spec)
    findings = {f.name: f for f in doctor.examine()}
    assert {f.state for f in findings.values()} == {"ok"}
    assert "2 open shards" in findings["stream"].what
    with MongoClient[check_mongo.Document](parts.uri) as client:
        assert not [n for n in client[spec.views.database].list_collection_names() if n.startswith("_doctor")]


def test_a_wrong_configuration_is_shown_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(EVERYTHING.read_text().replace('"7s"', '"0s"').replace("weight = 0.7", "weight = 7"))
    monkeypatch.setenv("EDDY_CONFIG", str(tmp_path / "p.toml"))
    finding = wrong()["configuration"]
    assert "windows[0].tumbling.size" in finding.do
    assert "fraud.rules[1].weight" in finding.do


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WAIT", 300)
    monkeypatch.setenv("MONGODB_URI", f"mongodb://me:{SECRET}@127.0.0.1:{state.free_port()}/?directConnection=true")
    for name, value in aws.settings(state.free_port()).items():
        monkeypatch.setenv(name, value)
    bad = wrong()
    assert bad.keys() == {"MongoDB", "stream", "DynamoDB", "AWS's clock"}
    assert "no answer" in bad["stream"].what


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    bad = wrong()
    assert {"credentials", "stream", "DynamoDB"} <= bad.keys()
    assert "AWS_ACCESS_KEY_ID" in bad["stream"].do


def test_credentials_that_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strict = aws.start(tmp_path, state.free_port(), leashed=True, more={"AUTH": "true"})
    try:
        aws.ready(strict, tmp_path)
        for name, value in aws.settings(strict.port).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        bad = wrong()
        assert "UnrecognizedClientException" in bad["stream"].what
        assert "docs/operations.md" in bad["DynamoDB"].do
    finally:
        stop(strict, 3)


def test_a_standalone_mongod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone = mongod.start(tmp_path, state.free_port(), leashed=True, replica_set=False)
    try:
        mongod.ready(alone, tmp_path, replica_set=False)
        monkeypatch.setenv("MONGODB_URI", mongod.uri(alone.port))
        bad = wrong()
        assert "standalone" in bad["replica set"].what
        assert {"change stream of transactions", "change stream of carts", "rights on the views"} <= bad.keys()
    finally:
        stop(alone, 20)


def test_wrong_passwords_and_missing_rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("c2VjcmV0" * 8)
    (tmp_path / "key").chmod(0o600)
    guarded = mongod.start(tmp_path, state.free_port(), leashed=True, more=["--auth", "--keyFile", str(tmp_path / "key")])
    try:
        mongod.ready(guarded, tmp_path)
        where = f"127.0.0.1:{guarded.port}/?directConnection=true"
        with MongoClient[check_mongo.Document](mongod.uri(guarded.port)) as client:
            client.admin.command("createUser", "root", pwd=SECRET, roles=["root"])
        with MongoClient[check_mongo.Document](f"mongodb://root:{SECRET}@{where}") as client:
            client.admin.command("createUser", "reader", pwd=SECRET, roles=[{"role": "read", "db": "shop"}])
        monkeypatch.setenv("MONGODB_URI", f"mongodb://root:other@{where}")
        assert wrong().keys() == {"MongoDB login"}
        monkeypatch.setenv("MONGODB_URI", f"mongodb://reader:{SECRET}@{where}")
        assert wrong().keys() == {"rights on the views"}
        monkeypatch.setenv("MONGODB_URI", f"mongodb://{where}")
        assert {"change stream of carts", "rights on the views"} <= wrong().keys()
    finally:
        stop(guarded, 20)


def test_stored_images_that_a_trigger_needs(parts: stack.Running, tmp_path: Path) -> None:
    text = EVERYTHING.read_text().replace('collection = "cart_events"', 'collection = "cart_events"\nbefore = true')
    (tmp_path / "p.toml").write_text(text)
    trigger = load(tmp_path / "p.toml").triggers[1]
    with MongoClient[check_mongo.Document](parts.uri) as client:
        database = client["shop"]
        database.drop_collection("cart_events")
        assert "does not exist" in check_mongo.images(client, trigger).what
        database.create_collection("cart_events")
        assert "collMod" in check_mongo.images(client, trigger).do
        database.command("collMod", "cart_events", changeStreamPreAndPostImages={"enabled": True})
        assert check_mongo.images(client, trigger).state == "ok"


def test_a_clock_that_is_off() -> None:
    assert check_mongo.judged("clock", 0.5).state == "ok"
    assert "3.0 s ahead" in check_mongo.judged("clock", 3.0).what
    assert "behind" in check_mongo.judged("clock", -30.0).what


def test_a_java_that_is_none_or_too_old(tmp_path: Path) -> None:
    assert check_machine.java({}).state == "ok"
    assert "does not start" in check_machine.java({"JAVA_HOME": str(tmp_path)}).what
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    assert "version 11" in check_machine.java({"JAVA_HOME": str(tmp_path)}).what


def test_a_mongod_without_its_run_bit_gets_it_and_one_that_is_none_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries: libcurl.so.4' >&2\nexit 127\n")
    broken.chmod(0o644)
    assert "libcurl.so.4" in (mongod.unusable(broken) or "")
    assert broken.stat().st_mode & 0o111


def test_a_check_that_breaks_is_a_finding_too() -> None:
    def breaks() -> Finding:
        raise KeyError("x")

    (finding,) = run([("odd", breaks)])
    assert (finding.name, finding.state) == ("odd", "wrong")
