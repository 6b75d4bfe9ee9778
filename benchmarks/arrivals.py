"""`python -m benchmarks.arrivals`: memory and processor time of one call of the arrival starter with a large batch of new files.

The function runs from the deployed bundle in a process of its own, with its real clients, against a server that answers as AWS does to files that
nobody has seen before. docs/decisions.md says what follows for the function's memory and its queue.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.functions import lay_out
from tools.installation import ROOT

FILE_BYTES = 2 * 1024 * 1024
"""Size of each file; S3 has no SHA-256 of it, so the function reads it, in pieces."""

PAYLOAD_BYTES = 6 * 1024 * 1024
"""Lambda hands over no larger batch, whatever the mapping's batch size."""

VCPU_MB = 1769
"""Memory for which Lambda gives one processor; less memory, less of it."""

_CHILD = """
import json, os, resource, sys, time
from lambdas.arrival_starter import handler
class Context:
    function_name, memory_limit_in_mb, invoked_function_arn, aws_request_id = "f", 512, "arn:aws:lambda:eu-central-1:1:function:f", "r"
    end = time.monotonic() + 120
    def get_remaining_time_in_millis(self):
        return int((self.end - time.monotonic()) * 1000)
event = json.load(sys.stdin)
begun, started = time.process_time(), time.monotonic()
failures = handler.handler(event, Context())["batchItemFailures"]
cpu, wall = time.process_time() - begun, time.monotonic() - started
try:
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    peak = int(line.split()[1]) * 1024
except FileNotFoundError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print("\\n" + json.dumps({"failures": len(failures), "cpu": cpu, "wall": wall, "mb": peak / 1e6}))
"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call took.

    Attributes:
        messages: Messages in the batch.
        payload_mb: Size of the event.
        failures: Messages that it asks for again.
        cpu: Seconds of processor time.
        wall: Seconds on the clock of this machine.
        mb: Peak memory.
    """

    messages: int
    payload_mb: float
    failures: int
    cpu: float
    wall: float
    mb: float


def measure(root: Path, *, messages: int) -> Call:
    """One call.

    Args:
        root: The checkout.
        messages: New files in the batch, as far as they fit into an event.
    """
    event = {"Records": [_record(number) for number in range(messages)]}
    while len(text := json.dumps(event)) > PAYLOAD_BYTES:
        event["Records"] = event["Records"][: int(len(event["Records"]) * 0.99)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(map(str, lay_out(root, Path(folder)))), "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a",
                "AWS_SECRET_ACCESS_KEY": "b", "AWS_LAMBDA_FUNCTION_NAME": "f", "LAKEHOUSE_ENV": "test", "LAKEHOUSE_PROJECT": "lakehouse",
                "PIPELINE": "orders", "MACHINE_ARN": "arn:aws:states:eu-central-1:1:stateMachine:orders", "AUDIT_TABLE": "audit",
                "CONTROL_TABLE": "control", "TRIGGER": "arrival", "RAW_BUCKET": "raw-bucket", "LOGS_BUCKET": "logs-bucket",
                "DATASET": "tpch.orders", "SOURCE_FORMATS": "csv,json,parquet",
            }  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-S", "-c", _CHILD], env=environment, input=text, capture_output=True, text=True, check=False
            )
    finally:
        server.shutdown()
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Call(messages=len(event["Records"]), payload_mb=len(text) / 1e6, **json.loads(done.stdout.splitlines()[-1]))


def _record(number: int) -> dict[str, Any]:
    """A message as Lambda hands it over, with EventBridge's event of a new object in it."""
    key = f"tpch/orders/year=2026/month=11/day=22/orders-{number:06}.csv"
    event = {
        "version": "0", "id": f"00000000-0000-0000-0000-{number:012}", "detail-type": "Object Created", "source": "aws.s3",
        "account": "123456789012", "time": "2026-11-22T05:00:00Z", "region": "eu-central-1", "resources": ["arn:aws:s3:::raw-bucket"],
        "detail": {
            "version": "0", "bucket": {"name": "raw-bucket"}, "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012",
            "source-ip-address": "192.0.2.1", "reason": "PutObject",
            "object": {
                "key": key, "size": FILE_BYTES, "etag": "b1946ac92492d2347c6235b4d2611184", "version-id": f"IYV3p45BT0ac8hjHg1houSdS1a.{number:06}",
                "sequencer": f"{number:018X}",
            },
        },
    }  # fmt: skip
    return {
        "messageId": event["id"], "receiptHandle": "A" * 412, "body": json.dumps(event), "messageAttributes": {}, "md5OfBody": "0" * 32,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1700000000001",
        },
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:arrivals", "awsRegion": "eu-central-1",
    }  # fmt: skip


class _Aws(BaseHTTPRequestHandler):
    """Answers as AWS does where nothing was before."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """DynamoDB and Step Functions."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        operation = self.headers.get("x-amz-target", "").rpartition(".")[2]
        answer = {
            "Query": {"Items": [], "Count": 0, "ScannedCount": 0},
            "StartExecution": {"executionArn": "arn:aws:states:eu-central-1:1:execution:orders:e", "startDate": 1.0},
        }.get(operation, {})
        self._answer(json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.0"})

    def do_PUT(self) -> None:
        """The manifest."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(b"", {"ETag": '"m"'})

    def do_HEAD(self) -> None:
        """A file without a SHA-256."""
        self._answer(bytes(FILE_BYTES), {"ETag": f'"{abs(hash(self.path))}"', "Content-Type": "text/csv"}, has_body=False)

    def do_GET(self) -> None:
        """Its bytes, different for each file."""
        self._answer(self.path.encode().ljust(FILE_BYTES, b"x"), {"ETag": f'"{abs(hash(self.path))}"', "Content-Type": "text/csv"})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def _answer(self, body: bytes, headers: dict[str, str], *, has_body: bool = True) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(body)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrivals", description=__doc__)
    parser.add_argument("--messages", type=int, nargs="*", default=[10, 1000, 10_000], help="sizes of the batches")
    for messages in parser.parse_args(arguments).messages:
        call = measure(ROOT, messages=messages)
        shares = ", ".join(f"{mb} MB: {call.cpu * VCPU_MB / mb:.0f} s" for mb in (256, 512, 1024))
        print(
            f"{call.messages} messages ({call.payload_mb:.1f} MB): {call.mb:.0f} MB at its peak, {call.cpu:.1f} s of processor time "
            f"(on Lambda with {shares}), {call.wall:.1f} s here, {call.failures} asked for again"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
