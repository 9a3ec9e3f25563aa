"""The sandbox on real parts: started by the first terminal, joined by the others, stopped in order, its data still there after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient

from sandbox import stack, state
from sandbox.processes import Known, find, known
from sandbox.run import config_of, has_aws, name_of

ROOT = Path(__file__).parents[2]
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "sandbox"
    stack.down(tmp_path / "sandbox", say=False)


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's, without any AWS setting."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MONGODB_"))}
    return {**kept, "EDDY_SANDBOX": str(home), "HOME": str(home.parent), **more}


def sandbox(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *words], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def shown(process: subprocess.Popen[str]) -> tuple[dict[str, str], str]:
    """(the environment of the command that was run, what was said on stderr)."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out), err


def test_terminals_that_start_at_the_same_time_share_one_sandbox(home: Path) -> None:
    both = [sandbox(environment(home), "exec", "--", "python", "-c", SHOW) for _ in range(3)]
    found = [shown(process) for process in both]
    assert len({env["MONGODB_URI"] for env, _ in found}) == 1
    assert len({env["AWS_ENDPOINT_URL_KINESIS"] for env, _ in found}) == 1
    assert sorted("started" in said for _, said in found) == [False, False, True]
    assert all("make sandbox-stop" in said for _, said in found)


def test_an_orderly_stop_ends_who_joined_and_the_data_is_there_again(home: Path) -> None:
    env = environment(home)
    waiting = sandbox(env, "exec", "--", "python", "-c", "import time; print('here', flush=True); time.sleep(99)")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "here\n"
    first = stack.running(home)
    assert first is not None
    with MongoClient[dict[str, object]](first.uri) as client:
        client["shop"]["kept"].insert_one({"_id": 1})
    assert "stopped" in sandbox(env, "stop").communicate(timeout=60)[0]
    waiting.communicate(timeout=10)
    assert waiting.returncode != 0
    assert stack.running(home) is None
    second = stack.up(home, leashed=True)
    assert second.fresh
    assert second.aws_port != first.aws_port  # who still talks to the old one must not find the new one there
    with MongoClient[dict[str, object]](second.uri) as client:
        assert client["shop"]["kept"].count_documents({}) == 1
    assert not stack.up(home, leashed=True).fresh


def test_mongod_takes_another_port_where_its_own_is_taken(home: Path) -> None:
    first = stack.up(home, leashed=True)
    stack.down(home, say=False)
    with Taken(first.mongod_port):
        second = stack.up(home, leashed=True)
        assert second.mongod_port != first.mongod_port
        with MongoClient[dict[str, object]](second.uri) as client:
            assert client.admin.command("hello")["isWritablePrimary"]


class Taken:
    """Somebody else on a port, who refuses to talk."""

    def __init__(self, port: int) -> None:
        code = "import socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nprint('up', flush=True)\n"
        code += "while True: s.accept()[0].close()"
        self.process = subprocess.Popen([sys.executable, "-c", code, str(port)], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_what_the_environment_names_is_taken_as_it_is(home: Path) -> None:
    named = {"MONGODB_URI": "mongodb://somewhere/", "AWS_REGION": "eu-central-1"}
    env, said = shown(sandbox(environment(home, **named), "exec", "--", "python", "-c", SHOW))
    assert env["MONGODB_URI"] == "mongodb://somewhere/"
    assert "AWS_ENDPOINT_URL" not in env
    assert "as the environment says" in said
    assert not (home / "state.json").exists()


def test_a_mongodb_without_any_aws_setting_gets_the_kinesis_of_the_sandbox(home: Path) -> None:
    other = stack.up(home, leashed=True)
    env, said = shown(sandbox(environment(home, MONGODB_URI=other.uri), "exec", "--", "python", "-c", SHOW))
    assert env["MONGODB_URI"] == other.uri
    assert env["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{other.aws_port}"
    assert "no AWS setting" in said


def test_an_aws_profile_is_a_setting_and_a_certificate_bundle_is_none(tmp_path: Path) -> None:
    assert not has_aws({"HOME": str(tmp_path), "AWS_CA_BUNDLE": "x"})
    assert has_aws({"HOME": str(tmp_path), "AWS_PROFILE": "x"})
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").touch()
    assert has_aws({"HOME": str(tmp_path)})


def test_a_pid_that_was_given_to_somebody_else_is_not_ours() -> None:
    me = known(os.getpid())
    assert find(me) is not None
    assert find(Known(me.pid, me.started - 100)) is None
    assert find(Known(psutil.pids()[-1] + 100_000, 0.0)) is None


def test_a_state_that_was_cut_off_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"mongod": {"pid"')
    assert state.read(tmp_path) == state.State()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "-m", "producer"], "producer"),
        (["python", "-m", "sandbox", "traffic", "--rate", "5"], "traffic"),
        (["python", "-c", "print(1)"], "python"),
        (["/bin/sh", "-c", "true"], "sh"),
    ],
)
def test_a_command_has_a_name(command: list[str], name: str) -> None:
    assert name_of(command) == name


@pytest.mark.parametrize("words", [("consumer",), ("producer", "--config", "{file}"), ("query", "risks")])
def test_a_wrong_configuration_is_told_before_anything_is_started(home: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('[stream]\nname = "x"\nnonsense = 1\n')
    command = ("exec", "--", "python", "-m", *(word.format(file=file) for word in words))
    process = sandbox(environment(home, EDDY_CONFIG=str(file), AWS_ENDPOINT_URL="nowhere"), *command)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (78, "")
    assert [line.split(":")[0] for line in err.splitlines()] == ["stream.nonsense", "trigger", "AWS_ENDPOINT_URL"]
    assert not home.exists()


def test_clean_forgets_everything(home: Path) -> None:
    stack.up(home, leashed=True)
    stack.clean(home)
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "env.toml"), ("--config a", "a"), ("--config=a", "a"), ("--config a --config b", "b"), ("--config=a --config b", "b"),
        ("--config a --slot 1 --config=b", "b"), ("--config b --config=", "env.toml"), ("--config", "env.toml"),
    ],
)  # fmt: skip
def test_the_configuration_of_a_command_is_the_last_that_it_names(words: str, named: str) -> None:
    assert config_of(["python", "-m", "consumer", *words.split()], {"EDDY_CONFIG": "env.toml"}) == named
