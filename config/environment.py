"""Addresses and secrets: from environment variables only, never from a file, never in a log."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import Misconfigured

REGION = "us-east-1"
CONFIG = "pipeline.toml"
Of = Callable[..., str | None]


@dataclass(frozen=True, slots=True)
class Environment:
    """What the surroundings say. None: not set, so boto3's and pymongo's own defaults (or the sandbox) hold.

    worker: the consumer's name to KCL, in place of the host's. state: where it keeps its run directory.

    The credentials are kept out of `repr`, and so is the URI, which may hold a password; `mongodb` is its shape for logs.
    """

    mongodb_uri: str | None = field(default=None, repr=False)
    region: str = REGION
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    kinesis_endpoint: str | None = None
    dynamodb_endpoint: str | None = None
    config: Path = Path(CONFIG)
    worker: str | None = None
    state: Path | None = None

    @property
    def mongodb(self) -> str | None:
        """The URI without user, password and options."""
        return shape(self.mongodb_uri) if self.mongodb_uri else None


def environment(given: Mapping[str, str] | None = None) -> Environment:
    """Read the variables (of this process, if none are given). Raises Misconfigured for what cannot be right."""
    env = os.environ if given is None else given

    def of(*names: str) -> str | None:
        return next((env[name].strip() for name in names if env.get(name, "").strip()), None)

    _check(of)
    return Environment(
        mongodb_uri=of("MONGODB_URI"),
        region=of("AWS_REGION", "AWS_DEFAULT_REGION") or REGION,
        profile=of("AWS_PROFILE"),
        access_key_id=of("AWS_ACCESS_KEY_ID"),
        secret_access_key=of("AWS_SECRET_ACCESS_KEY"),
        session_token=of("AWS_SESSION_TOKEN"),
        kinesis_endpoint=of("AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"),
        dynamodb_endpoint=of("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"),
        config=Path(of("EDDY_CONFIG") or CONFIG),
        worker=of("EDDY_WORKER"),
        state=Path(state).expanduser() if (state := of("EDDY_STATE")) else None,
    )


def shape(uri: str) -> str:
    """A connection string for logs: scheme and hosts.

    >>> shape("mongodb+srv://me:pass@shop.example.net/db?retryWrites=true")
    'mongodb+srv://shop.example.net'
    """
    scheme, sep, rest = uri.partition("://")
    if not sep:
        return "(not a connection string)"
    hosts = rest.rsplit("@", 1)[-1]  # a password may hold what it should not: the last @ is the one before the hosts
    return f"{scheme}://{hosts.split('/', 1)[0].split('?', 1)[0]}"


def _check(of: Of) -> None:
    wrong: list[str] = []
    uri = of("MONGODB_URI")
    if uri is not None and not uri.startswith(("mongodb://", "mongodb+srv://")):
        wrong.append("MONGODB_URI: is no connection string; it begins with mongodb:// or mongodb+srv://")
    if (of("AWS_ACCESS_KEY_ID") is None) != (of("AWS_SECRET_ACCESS_KEY") is None):
        wrong.append("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: only one of the two is set; set both or neither")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL_DYNAMODB"):
        endpoint = of(name)
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            wrong.append(f"{name}: is no address; it begins with http:// or https://")
    if wrong:
        raise Misconfigured("\n".join(wrong))
