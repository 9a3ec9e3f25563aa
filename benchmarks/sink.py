"""A Kinesis that acknowledges everything a while after it came, and keeps nothing: `python -m benchmarks.sink PORT MILLISECONDS`.

It reads no record: it counts them, so that what it costs is the same for whoever puts them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import cache

KEY = b'"PartitionKey"'
HIGH = str((1 << 128) - 1)
SHARD = "shardId-000000000000"


@cache
def acknowledged(n: int) -> bytes:
    """The answer to a PutRecords of n records."""
    return _body({"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1" * 56, "ShardId": SHARD}] * n})


def _body(answer: object) -> bytes:
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


SHARDS = _body(
    {"Shards": [{"ShardId": SHARD, "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": HIGH}, "SequenceNumberRange": {}}]}
)
SUMMARY = _body({"StreamDescriptionSummary": {}})


async def serve(port: int, after: float) -> None:
    """Until killed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                if b".putrecords" in head:
                    await asyncio.sleep(after)
                    writer.write(acknowledged(body.count(KEY)))
                else:
                    writer.write(SHARDS if b".listshards" in head else SUMMARY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=1 << 25)
    async with server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]) / 1_000))
