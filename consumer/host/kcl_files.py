"""The files that KCL runs by, as text: kcl.properties, logback.xml and what starts a child. No secrets: KCL logs them all."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from consumer.kinesis import StreamInfo

PROPERTIES, LOGBACK, LAUNCHER, LOG = "kcl.properties", "logback.xml", "child.sh", "kcl.log"
GRACE_MS = 60_000  # for an orderly end: at the default, 0, KCL would checkpoint nothing
SHORT = {  # an emulator is asked often, so that the first lease takes 20 s instead of over a minute
    "failoverTimeMillis": "3000",
    "leaseAssignmentIntervalMillis": "1000",
    "parentShardPollIntervalMillis": "1000",
    "shardSyncIntervalMillis": "1000",
    "idleTimeBetweenReadsInMillis": "200",
    "maxRecords": "5000",
    "disableWorkerMetrics": "true",
}
LONG = {
    "idleTimeBetweenReadsInMillis": "500",  # Kinesis allows five reads a second and shard, to all readers together
    "maxRecords": "2000",
}

# A line of JSON. What would break it (quotes, backslashes, line ends) becomes a space; of an exception its root's first line.
CLEAN = r"""{'[\s"\\]+',' '}"""
KCL_LINE = (
    f'{{"logger": "kcl", "event": "%replace(%msg){CLEAN}", "why": "%replace(%rEx{{1}}){CLEAN}", "level": "%level", '
    """"from": "%logger{0}", "at": "%d{yyyy-MM-dd'T'HH:mm:ss.SSS}"}%n"""
)
# They warn of what is no trouble: once a second until workers are known, and once a shard at every end.
NOISY = ("coordinator.assignment.LeaseAssignmentManager", "metrics.CloudWatchPublisherRunnable")


@dataclass(frozen=True, slots=True)
class Worker:
    """One KCL worker. id: host and slot, the same after every restart, so that it takes its own leases back at once.

    kinesis and dynamodb: endpoints where they are not AWS's public ones.
    """

    id: str
    stream: StreamInfo
    region: str
    kinesis: str | None = None
    dynamodb: str | None = None

    @property
    def application(self) -> str:
        """KCL's application, and its lease table. The stream's creation time is in it: a stream that was deleted and made again
        has other leases, and does not take up where the old one ended."""
        return f"eddy-{self.stream.name}-{self.stream.created}"

    @property
    def emulated(self) -> bool:
        """Whether Kinesis is an emulator: AWS, also behind an endpoint in one's own network, speaks https."""
        return bool(self.kinesis and self.kinesis.startswith("http://"))


def properties(worker: Worker) -> str:
    """kcl.properties. (KCL ignores keys that it does not know, and values that are 0 or false in a primitive type.)"""
    lines = {
        "executableName": f"sh ./{LAUNCHER}",  # split on spaces, without quoting: so a name without any, in KCL's own directory
        "applicationName": worker.application,
        "streamName": worker.stream.name,
        "workerId": worker.id,
        "AwsCredentialsProvider": "DefaultCredentialsProvider",
        "processingLanguage": "python/3.11",
        "regionName": worker.region,
        "initialPositionInStream": "TRIM_HORIZON",
        "retrievalMode": "POLLING",
        "callProcessRecordsEvenForEmptyRecordList": "true",
        "isGracefulLeaseHandoffEnabled": "false",  # a handoff may get stuck in 3.1.3; a fence makes it needless
        "metricsLevel": "NONE",
        "shutdownGraceMillis": str(GRACE_MS),
        "logWarningForTaskAfterMillis": "60000",
        **(SHORT if worker.emulated else LONG),
    }
    endpoints = {"kinesisEndpoint": worker.kinesis, "dynamoDBEndpoint": worker.dynamodb}
    lines.update({name: value for name, value in endpoints.items() if value})
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def launcher(python: str, root: Path) -> str:
    """What starts a child, by way of the nursery where there is one: any path may hold spaces here."""
    relay = root / "consumer" / "host" / "relay.py"
    return f"PYTHONUTF8=1 exec {shlex.quote(python)} -I -S {shlex.quote(str(relay))} {shlex.quote(str(root))}\n"


def logback() -> str:
    """KCL's own lines: all of them into a file that turns over, warnings to stderr. Its children's reach stderr by themselves."""
    quiet = '  <logger name="software.amazon.kinesis.{}" additivity="false"><appender-ref ref="FILE"/></logger>\n'
    noisy = "".join(map(quiet.format, NOISY))
    return f"""<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{LOG}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{LOG}.%i</fileNamePattern><minIndex>1</minIndex><maxIndex>3</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>10MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%d{{yyyy-MM-dd'T'HH:mm:ss.SSS}} %-5level %logger{{20}} - %msg%n</pattern></encoder>
  </appender>
  <appender name="ERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <filter class="ch.qos.logback.classic.filter.ThresholdFilter"><level>WARN</level></filter>
    <encoder><pattern>{KCL_LINE}</pattern></encoder>
  </appender>
  <logger name="software.amazon.kinesis.multilang.DrainChildSTDERRTask" level="OFF"/>
{noisy}  <root level="INFO"><appender-ref ref="FILE"/><appender-ref ref="ERR"/></root>
</configuration>
"""
