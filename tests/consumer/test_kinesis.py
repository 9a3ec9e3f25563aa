"""What Kinesis says of a stream, from a real ministack; and what its errors ask of us, from a server that answers with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from config.environment import Environment
from consumer import kinesis
from consumer.store.contract import HashRange, ShardId
from contract.errors import Misconfigured, Retryable
from contract.times import date_ms
from edge import aws
from sandbox.aws import settings, url
from tests.conftest import free_port
from tests.consumer.conftest import Place

KEYS = {"access_key_id": "test", "secret_access_key": "test"}


def environment(endpoint: str) -> Environment:
    return Environment(kinesis_endpoint=endpoint, dynamodb_endpoint=endpoint, **KEYS)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(1).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name)


def test_a_stream_and_its_shards(place: Place) -> None:
    client = aws.kinesis(environment(place.env["AWS_ENDPOINT_URL"]))
    info = kinesis.describe(client, place.stream)
    summary = place.kinesis.describe_stream_summary(StreamName=place.stream)["StreamDescriptionSummary"]
    assert (info.arn, info.created) == (summary["StreamARN"], date_ms(summary["StreamCreationTimestamp"]))
    places = [kinesis.find(client, info, f"shardId-00000000000{n}") for n in (0, 1)]
    assert places[0].shard == ShardId(info.arn, info.created, "shardId-000000000000") and places[0].parents == ()
    half = 1 << 127
    assert [p.hashes for p in places] == [HashRange(0, half - 1), HashRange(half, (1 << 128) - 1)]
    with pytest.raises(Misconfigured, match="shardId-5"):
        kinesis.find(client, info, "shardId-5")


def test_shards_of_a_reshard_name_their_parents(place: Place) -> None:
    client = aws.kinesis(environment(place.env["AWS_ENDPOINT_URL"]))
    info = kinesis.describe(client, place.stream)
    first, second = (ShardId(info.arn, info.created, f"shardId-00000000000{n}") for n in (0, 1))
    client.merge_shards(StreamName=place.stream, ShardToMerge=first.shard, AdjacentShardToMerge=second.shard)
    merged = kinesis.find(client, info, "shardId-000000000002")
    assert set(merged.parents) == {first, second} and merged.hashes == HashRange()


def test_a_missing_stream_is_misconfigured_and_says_what_to_do(ministack: int) -> None:
    client = aws.kinesis(environment(url(ministack)))
    with pytest.raises(Misconfigured, match=r"nowhere.*create-stream"):
        kinesis.describe(client, "nowhere")


def test_a_lease_table_that_is_not_there_yet_is_fine(ministack: int) -> None:
    kinesis.reachable(aws.dynamodb(environment(url(ministack))), "eddy-nowhere")


def test_a_port_where_nobody_listens_is_retryable() -> None:
    env = environment(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Retryable, match="cannot be reached"):
        kinesis.describe(aws.kinesis(env), "s")
    with pytest.raises(Retryable):
        kinesis.reachable(aws.dynamodb(env), "eddy-s")


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that answers everything with one error, as AWS writes it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": code, "message": "said so"}).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "UnrecognizedClientException"),
        (400, "InvalidSignatureException"),
        (400, "ExpiredTokenException"),
        (400, "AccessDeniedException"),
        (403, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_credentials_are_misconfigured(status: int, code: str) -> None:
    with answering(status, code) as address:
        with pytest.raises(Misconfigured, match=code) as told:
            kinesis.describe(aws.kinesis(environment(address)), "s")
        assert "test" not in str(told.value).split(code)[1], "no credentials in the text"


@pytest.mark.parametrize(("status", "code"), [(400, "LimitExceededException"), (500, "InternalFailure"), (503, "Whatever")])
def test_a_busy_service_is_retryable(status: int, code: str) -> None:
    with answering(status, code) as address, pytest.raises(Retryable, match=code):
        kinesis.describe(aws.kinesis(environment(address)), "s")


def test_no_credentials_and_an_unknown_profile_are_misconfigured(monkeypatch: pytest.MonkeyPatch, ministack: int) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(Misconfigured, match="credentials"):
        kinesis.describe(aws.kinesis(Environment(kinesis_endpoint=url(ministack))), "s")
    with pytest.raises(Misconfigured, match="no-such-profile"):
        aws.kinesis(Environment(profile="no-such-profile"))
