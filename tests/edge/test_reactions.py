"""What each error of MongoDB and of AWS asks of us: one table of each, for producer and consumer alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dns.resolver
import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from pymongo import errors as pymongo

from config.environment import environment
from contract.errors import Fatal, Misconfigured, Retryable
from edge import aws, mongo
from edge.patience import patiently

PASSWORD = "hunter2"


def refused(code: int, labels: tuple[str, ...] = ()) -> pymongo.OperationFailure:
    details: dict[str, Any] = {"codeName": "Named", "errmsg": f"of a document with {PASSWORD}", "errorLabels": list(labels)}
    return pymongo.OperationFailure(f"of a document with {PASSWORD}", code, details)


OF_MONGODB: list[tuple[pymongo.PyMongoError, type[BaseException]]] = [
    *((refused(code), Retryable) for code in sorted(mongo.AWAY | mongo.CONFLICTS)),
    *((refused(code), Misconfigured) for code in sorted(mongo.REFUSED)),
    *((refused(1, (label,)), Retryable) for label in mongo.LABELS),
    *((refused(code), Fatal) for code in (2, 9, 14, 72, 121)),
    (pymongo.ServerSelectionTimeoutError("nobody"), Retryable),
    (pymongo.AutoReconnect("gone"), Retryable),
    (pymongo.NetworkTimeout("slow"), Retryable),
    (pymongo.NotPrimaryError("no primary"), Retryable),
    (pymongo.ExecutionTimeout("too slow", 50), Retryable),
    (pymongo.WaitQueueTimeoutError("busy"), Retryable),
    (pymongo.ConfigurationError("bad option"), Misconfigured),
    (pymongo.InvalidURI("bad"), Misconfigured),
    (pymongo.BulkWriteError({"writeErrors": [{"code": 112}], "writeConcernErrors": []}), Retryable),
    (pymongo.BulkWriteError({"writeErrors": [{"code": 121}], "writeConcernErrors": []}), Fatal),
    (pymongo.BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), Retryable),
    (pymongo.InvalidOperation("closed"), Fatal),
]


@pytest.mark.parametrize(("error", "asked"), OF_MONGODB, ids=lambda v: repr(v)[:40])
def test_what_an_error_of_mongodb_asks(error: pymongo.PyMongoError, asked: type[BaseException]) -> None:
    with pytest.raises(asked) as told, mongo.in_our_words("asking"):
        raise error
    assert type(told.value) is asked
    assert PASSWORD not in str(told.value)


def test_the_tables_of_mongodb_say_one_thing_of_each_code() -> None:
    assert not mongo.AWAY & mongo.REFUSED
    assert not mongo.CONFLICTS & mongo.REFUSED


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb://h:port/"])
def test_an_address_that_is_none(uri: str) -> None:
    with pytest.raises(Misconfigured, match="MONGODB_URI"):
        mongo.connect(uri, "test").admin.command("ping")


def test_an_address_that_no_name_server_answers_for_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    late = dns.resolver.LifetimeTimeout(timeout=5, errors=[])
    answers: list[Exception] = [late, dns.resolver.NoNameservers(), OSError("no route")]

    def resolve(*asked: Any, **how: Any) -> None:
        raise answers.pop(0) if answers else dns.resolver.NXDOMAIN()

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    client = mongo.connect(f"mongodb+srv://me:{PASSWORD}@shop.example.net/", "test")
    for asked in (Retryable, Retryable, Retryable, Misconfigured):
        with pytest.raises(asked) as told, mongo.in_our_words("asking"):
            client.admin.command("ping")
        assert type(told.value) is asked and PASSWORD not in str(told.value)


def test_what_the_address_says_of_times_goes_before_ours() -> None:
    client = mongo.connect("mongodb://h/?serverSelectionTimeoutMS=77", "test", socketTimeoutMS=1_500)
    assert client.options.server_selection_timeout == 0.077
    assert client.options.pool_options.socket_timeout == 1.5
    assert client.options.pool_options.connect_timeout == 5.0
    client.close()


def test_keys_go_before_a_profile_as_for_kcl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[other]\naws_access_key_id = theirs\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "other")
    keys = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "s"}
    for given, expected in (({"AWS_PROFILE": "other"}, "theirs"), ({"AWS_PROFILE": "other", **keys}, "ours")):
        assert aws.session(environment(given)).get_credentials().access_key == expected


def answered(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecords"
    )  # type: ignore[typeddict-item]


OF_AWS: list[tuple[Exception, type[BaseException]]] = [
    *((answered(code), Retryable) for code in sorted(aws.BUSY)),
    *((answered(code), Misconfigured) for code in sorted(aws.REFUSED)),
    (answered(aws.MISSING), aws.Missing),
    (answered("SomethingNew", 503), Retryable),
    (answered("", 500), Retryable),
    (answered("SomethingNew", 429), Retryable),
    (answered("ValidationException"), Fatal),
    (answered("InvalidArgumentException"), Fatal),
    (boto.EndpointConnectionError(endpoint_url="http://h"), Retryable),
    (boto.ConnectTimeoutError(endpoint_url="http://h"), Retryable),
    (boto.ReadTimeoutError(endpoint_url="http://h"), Retryable),
    (boto.ConnectionClosedError(endpoint_url="http://h"), Retryable),
    (boto.ProxyConnectionError(proxy_url="http://h"), Retryable),
    (boto.SSLError(endpoint_url="http://h", error="x"), Retryable),
    (boto.MetadataRetrievalError(error_msg="x"), Retryable),
    (aws.ResponseParserError("half an answer"), Retryable),
    (boto.CredentialRetrievalError(provider="a role", error_msg="x"), Retryable),
    (boto.NoCredentialsError(), Misconfigured),
    (boto.PartialCredentialsError(provider="env", cred_var="x"), Misconfigured),
    (boto.ProfileNotFound(profile="x"), Misconfigured),
    (boto.NoRegionError(), Misconfigured),
    (ValueError("Invalid endpoint: x"), Misconfigured),
]


@pytest.mark.parametrize(("error", "asked"), OF_AWS, ids=lambda v: repr(v)[:50])
def test_what_an_error_of_aws_asks(error: Exception, asked: type[BaseException]) -> None:
    with pytest.raises(asked) as told, aws.in_our_words("asking"):
        raise error
    assert type(told.value) is asked
    assert str(told.value).startswith("asking")


def test_the_tables_of_aws_say_one_thing_of_each_code() -> None:
    assert not aws.BUSY & (aws.REFUSED | {aws.MISSING})


def test_what_is_away_is_asked_again_with_growing_waits_until_it_answers() -> None:
    away, waits = iter([None, 7.0, None]), list[float]()

    def ask() -> str:
        for after in away:
            raise Retryable("away", after)
        return "here"

    assert patiently("a service", ask, waits.append, spread=lambda: 0.0) == "here"
    assert waits == [0.5, 7.0, 2.0]


def test_who_waits_may_give_up() -> None:
    def ask() -> None:
        raise Retryable("away")

    def wait(seconds: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        patiently("a service", ask, wait)
