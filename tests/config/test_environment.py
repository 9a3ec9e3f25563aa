"""The environment: names, defaults, and that no secret gets into a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.environment import environment, shape
from contract.errors import Misconfigured

SECRETS = {
    "MONGODB_URI": "mongodb+srv://someone:s3cret@shop.example.net/x?authSource=s3cret",
    "AWS_ACCESS_KEY_ID": "AKs3cret",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_SESSION_TOKEN": "s3cret",
}


def test_nothing_set() -> None:
    env = environment({})
    assert (env.mongodb_uri, env.mongodb, env.region, env.config) == (None, None, "us-east-1", Path("pipeline.toml"))
    assert (env.kinesis_endpoint, env.dynamodb_endpoint, env.access_key_id, env.profile) == (None, None, None, None)
    assert (env.worker, env.state) == (None, None)
    assert environment({"MONGODB_URI": "  ", "AWS_REGION": ""}) == env


def test_everything_set() -> None:
    env = environment(
        {**SECRETS, "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "x", "AWS_PROFILE": "p", "EDDY_CONFIG": "a/b.toml",
         "AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_KINESIS": "http://h:2", "EDDY_WORKER": "w", "EDDY_STATE": "/s"}
    )  # fmt: skip
    assert (env.region, env.profile, env.config) == ("eu-central-1", "p", Path("a/b.toml"))
    assert (env.kinesis_endpoint, env.dynamodb_endpoint) == ("http://h:2", "http://h:1")
    assert (env.worker, env.state) == ("w", Path("/s"))
    assert env.mongodb_uri == SECRETS["MONGODB_URI"]
    assert (env.access_key_id, env.secret_access_key, env.session_token) == ("AKs3cret", "s3cret", "s3cret")
    assert environment({"AWS_DEFAULT_REGION": "x"}).region == "x"


def test_no_secret_is_shown() -> None:
    env = environment(SECRETS)
    for text in (repr(env), str(env), f"{env}", str(env.mongodb)):
        assert "s3cret" not in text
        assert "someone" not in text
    assert env.mongodb == "mongodb+srv://shop.example.net"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://h1:1,h2:2/db?x=y", "mongodb://h1:1,h2:2"),
        ("mongodb://u:p@@ss/w@h1", "mongodb://h1"),
        ("mongodb://u@h1/?a=b", "mongodb://h1"),
        ("mongodb://h1?a=b", "mongodb://h1"),
        ("u:p", "(not a connection string)"),
    ],
)
def test_shapes_of_connection_strings(uri: str, shown: str) -> None:
    assert shape(uri) == shown


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"MONGODB_URI": "http://s3cret"}, "MONGODB_URI"),
        ({"AWS_ACCESS_KEY_ID": "s3cret"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "s3cret"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL_KINESIS": "localhost:4566"}, "AWS_ENDPOINT_URL_KINESIS"),
    ],
)
def test_what_cannot_be_right_is_told_without_its_value(variables: dict[str, str], name: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        environment(variables)
    assert name in caught.value.what
    assert "s3cret" not in caught.value.what


def test_all_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        environment({"MONGODB_URI": "x", "AWS_ENDPOINT_URL": "y"})
    assert len(caught.value.what.split("\n")) == 2
