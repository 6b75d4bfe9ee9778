"""`lake drop`: files go into raw as a producer would put them; a journal remembers them for `lake wait`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from cli.errors import CommandError, WrongUseError, nearest
from cli.progress import Progress
from cli.remembered import append_line, read_lines
from cli.results import Dropped
from cli.session import Session
from cli.terminal import visible
from lakehouse.clock import to_text, utc_now

MAX_BYTES = 5 * 1024**3
"""Largest object of one PUT, and only one PUT gives an object whose SHA-256 is that of its bytes."""


def drop(session: Session, *, dataset: str, files: Sequence[Path], day: date | None, progress: Progress) -> list[Dropped]:
    """Put files into the raw folder of a dataset, one after another, in the order given.

    Args:
        session: Environment.
        dataset: Contract id, such as `tpch.orders`.
        files: Files to put.
        day: Day of the folder; today in UTC if None.
        progress: Where to show what goes on.

    Raises:
        WrongUseError: No pipeline starts on arrivals of that dataset, or a file is missing, a folder, too large, named like another one, or
            has a name that is no text.
    """
    check(session, dataset=dataset, files=files)
    folder = raw_folder(session, dataset=dataset, day=day or utc_now().date())
    bucket = session.names.bucket("raw")
    dropped: list[Dropped] = []
    for number, path in enumerate(files, start=1):
        progress.update(f"putting {path.name} into s3://{bucket}/{folder} ({number} of {len(files)})")
        item = _put(session, dataset=dataset, path=path, bucket=bucket, key=folder + path.name)
        dropped.append(item)
        _remember(session, item)
    return dropped


def check(session: Session, *, dataset: str, files: Sequence[Path]) -> None:
    """Refuse a drop that cannot be, before anything is put.

    Raises:
        WrongUseError: The first thing that is wrong.
    """
    arrivals = session.arrivals
    if dataset not in arrivals:
        if dataset in session.contracts:
            raise WrongUseError(
                f"no pipeline starts on arrivals of {dataset}: write one with `trigger: {{arrival: {dataset}}}` in pipelines/. "
                f"{nearest(dataset, arrivals)}"
            )
        raise WrongUseError(f"there is no dataset {dataset!r} to drop files of: {nearest(dataset, arrivals)}")
    for path in files:
        if visible(path.name) != path.name:
            raise WrongUseError(
                f"the name of {visible(str(path))} holds bytes that are not UTF-8, or control characters: rename it, keys are text"
            )
        if path.is_dir():
            raise WrongUseError(f"{path} is a folder: name the files in it, such as {path}/*")
        if not path.exists():
            siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongUseError(f"there is no file {path}: {nearest(path.name, siblings)}" if siblings else f"there is no file {path}")
        if path.stat().st_size > MAX_BYTES:
            raise WrongUseError(f"{path} has {path.stat().st_size} bytes, one PUT takes 5 GiB at most: split it or compress it (.gz)")
    names = [path.name for path in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WrongUseError(
            f"{twice[0]} is named twice: files of one drop share a folder in raw, so the second would replace the first. "
            "Rename it or drop it on its own"
        )


def raw_folder(session: Session, *, dataset: str, day: date) -> str:
    """Folder of a day in the raw bucket, with a slash at its end."""
    return f"{session.names.raw_prefix(dataset)}year={day.year:04}/month={day.month:02}/day={day.day:02}/"


def journal(session: Session) -> list[Dropped]:
    """Every drop so far, oldest first."""
    return [Dropped(**record) for record in read_lines(session.state / "drops.jsonl")]


def _put(session: Session, *, dataset: str, path: Path, bucket: str, key: str) -> Dropped:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            size = file.tell()
            file.seek(0)
            answer = session.client("s3").put_object(
                Bucket=bucket,
                Key=key,
                Body=file,
                ContentLength=size,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            )
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from error
    if "VersionId" not in answer:
        raise CommandError(
            f"the bucket {bucket} keeps no versions, so arrivals cannot be told apart: run `lake deploy --env {session.env}`"
        )
    return Dropped(
        dataset=dataset,
        file=str(path),
        bucket=bucket,
        key=key,
        version_id=answer["VersionId"],
        sha256=digest.hexdigest(),
        size=size,
        dropped_at=to_text(utc_now()),
    )


def _remember(session: Session, item: Dropped) -> None:
    try:
        append_line(session.state / "drops.jsonl", asdict(item))
    except CommandError as error:
        raise CommandError(
            f"{item.file} is in raw as {item.key} and will be loaded, but `lake wait` does not know of it: {error}"
        ) from error
