"""What spark-submit starts for a Glue run: waits for the run's work, then runs its script as `__main__` with its arguments.

The process may be started before there is work; the JVM, its classes and pyspark are loaded by then. It runs one script and
ends: nothing of a run is seen by another. Runs by path, imports nothing of ours, so that the script finds what Glue would have.
"""

import importlib
import json
import os
import runpy
import sys
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def main() -> int:
    """Wait, run, report."""
    url, token = os.environ.pop("LAKE_ENGINE_URL"), os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    # Modules of the archives in SPARK_HOME/python/lib are compiled anew at each import; the same ones are installed.
    sys.path[:] = [entry for entry in sys.path if not entry.endswith("pyspark.zip") and "py4j-" not in entry]
    context = _open_gateway()
    work = _wait_for_work(url, token)
    if work is None:
        return 0
    system = context._jvm.java.lang.System
    for name, value in work["conf"].items():
        system.setProperty(name, value)
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [*work["path"], *[entry for entry in sys.path if entry != here]]
    sys.argv[:] = [work["script"], *work["arguments"]]
    importlib.invalidate_caches()  # folders of the path may have been filled since the process started
    return _run(work["script"], url, token)


def _open_gateway() -> Any:
    from pyspark import SparkContext

    context: Any = SparkContext
    context._ensure_initialized()
    return context


def _wait_for_work(url: str, token: str) -> dict[str, Any] | None:
    while True:
        try:
            status, body = _call("GET", url + "/work", token)
        except (urllib.error.URLError, OSError):
            return None
        if status == 200:
            return json.loads(body)


def _run(script: str, url: str, token: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as leaving:
        if leaving.code in (None, 0):
            return 0
        if not isinstance(leaving.code, int):
            print(leaving.code, file=sys.stderr)  # noqa: T201 - as Python does
        _report(url, token, f"SystemExit: {leaving.code}")
        return leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - whatever ends the script is its outcome
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != script:
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames or error.__traceback__)
        _report(url, token, _message(error))
        return 1
    return 0


def _message(error: BaseException) -> str:
    """The error in one piece of text, as Glue shows it: its class, its text, and what was behind it on the JVM's side."""
    java, text = getattr(error, "java_exception", None), str(error)
    if java is not None:
        said = getattr(error, "errmsg", "").strip(": \n")
        text = f"{said}: {java.toString()}"
        cause, depth = java.getCause(), 0
        while cause is not None and depth < 20:
            line = cause.toString().strip()
            if line.splitlines()[0] not in text:
                text += f"\nCaused by: {line}"
            cause, depth = cause.getCause(), depth + 1
    else:
        origin = getattr(error, "_origin", None)  # pyspark's own exceptions wrap the JVM's
        text = text.split("\n\nJVM stacktrace:")[0]
        depth = 0
        while origin is not None and depth < 20:
            line = origin.toString().strip()
            if line and line.splitlines()[0].split(": ", 1)[-1] not in text:
                text += f"\nCaused by: {line}"
            origin, depth = origin.getCause(), depth + 1
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _report(url: str, token: str, message: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        _call("POST", url + "/outcome", token, {"error": message[:8000], "at": time.time()})
    except OSError as lost:
        print(f"the error could not be reported: {lost}", file=sys.stderr)  # noqa: T201 - the run's log


def _call(method: str, url: str, token: str, body: object = None) -> tuple[int, bytes]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers={"Authorization": token})  # noqa: S310 - our own address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return answer.status, answer.read()


if __name__ == "__main__":
    sys.exit(main())
