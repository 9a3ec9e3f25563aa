"""What the producer does when something is wrong: waits and says so, or ends with the status and the words that help."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from config.environment import Environment, environment
from config.load import parse
from contract.errors import Misconfigured
from producer.__main__ import run
from sandbox import aws
from tests.conftest import Client, free_port
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.gate import Gate, refused

Env = Callable[..., Environment]


@pytest.fixture
def env(mongod: str, kinesis_port: int, monkeypatch: pytest.MonkeyPatch) -> Env:
    for name, value in aws.settings(kinesis_port).items():
        monkeypatch.setenv(name, value)

    def make(**more: str) -> Environment:
        return environment({**aws.settings(kinesis_port), "MONGODB_URI": mongod, **more})

    return make


def refusal(stream: str, database: str, env: Environment, trigger: str = "") -> str:
    """What the start is refused with."""
    with pytest.raises(Misconfigured) as raised:
        run(parse(pipeline(stream, database, trigger=trigger)), env, threading.Event())
    return str(raised.value)


def test_a_missing_stream_ends_it_with_the_command_to_run(start: Start, stream: Stream, database_name: str) -> None:
    running = start(pipeline("not-there", database_name))
    assert running.end(None) == Misconfigured.status == 78
    said = running.said("stopped", error="Misconfigured")
    assert said and "aws kinesis create-stream --stream-name not-there --shard-count 2" in said["what"]


def test_a_wrong_pipeline_ends_it(start: Start, stream: Stream, database_name: str) -> None:
    running = start(pipeline(stream.name, database_name, trigger="rutes = []"))
    assert running.end(None) == 78
    assert (said := running.said("stopped")) and "trigger[0].rutes" in said["what"]


def test_no_uri_and_wrong_credentials_are_told(env: Env, stream: Stream, gate: Gate, mongod: str, database_name: str) -> None:
    assert "MONGODB_URI" in refusal(stream.name, database_name, env(MONGODB_URI=""))
    assert "credentials" in refusal(stream.name, database_name, env(MONGODB_URI=mongod.replace("//", "//somebody:wrong@")))
    assert "MONGODB_URI" in refusal(stream.name, database_name, env(MONGODB_URI="mongodb://:::/"))
    gate.faults["ListShards"] = [refused("UnrecognizedClientException")]
    text = refusal(stream.name, database_name, env(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url))
    assert "AWS_ACCESS_KEY_ID" in text and "UnrecognizedClientException" in text


def test_a_refused_match_is_told(env: Env, stream: Stream, database_name: str) -> None:
    text = refusal(stream.name, database_name, env(), 'match = { n = { "$nope" = 1 } }')
    assert text.startswith("trigger[0].match: ") and "$nope" in text


def test_a_match_that_no_message_can_hold_is_told(env: Env, stream: Stream, database_name: str) -> None:
    text = refusal(stream.name, database_name, env(), f'match = {{ n = "{"x" * (17 << 20)}" }}')
    assert text.startswith("trigger[0].match: it cannot be sent to MongoDB") and len(text) < 500


def test_a_stream_that_goes_away_ends_it(start: Start, gate: Gate, mongo: Client, database_name: str) -> None:
    running = start(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
    gate.faults["PutRecords"] = [refused("ResourceNotFoundException")] * 2
    mongo[database_name].payments.insert_one({"_id": 1, "n": 1, "card": "c"})
    assert running.end(None) == 78


def test_it_can_be_stopped_while_it_waits_for_mongodb_and_for_kinesis(start: Start) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    for away in ({"MONGODB_URI": f"mongodb://{nobody}"}, {"AWS_ENDPOINT_URL_KINESIS": f"http://{nobody}"}):
        running = start(**away)
        soon(lambda running=running: running.said("waiting"))  # type: ignore[misc]
        assert running.end() == 0


def test_filters_that_the_server_refuses_are_told_each_by_its_place(
    env: Env, stream: Stream, mongo: Client, database_name: str
) -> None:
    text = refusal(
        stream.name,
        database_name,
        env(),
        """match = { amount = { "$between" = [1, 2] } }

[[trigger]]
name = "fine"
database = "shop"
collection = "pay"
routes = ["card"]
match = { "$or" = [ { a = { "$gte" = 1 } }, { tags = { "$elemMatch" = { x = 1 } } } ] }

[[trigger]]
name = "bad"
database = "shop"
collection = "pay"
routes = ["card"]
match = { x = { "$type" = "nothing" } }
""",
    )
    first, second = text.splitlines()
    assert first.startswith("trigger[0].match: MongoDB refuses it (code 2): ") and "$between" in first
    assert second.startswith("trigger[2].match: MongoDB refuses it (code ")


def test_a_filter_is_tried_where_there_are_documents_and_where_there_are_none(
    env: Env, stream: Stream, mongo: Client, database_name: str
) -> None:
    wrong = 'match = { amount = { "$in" = 5 } }'
    assert "trigger[0].match" in refusal(stream.name, database_name, env(), wrong)
    mongo[database_name].payments.insert_one({"_id": 1})
    assert "trigger[0].match" in refusal(stream.name, database_name, env(), wrong)
