"""What S3 says no with, in one tree.

LakehouseError
├── TerminalError
│   └── S3Refused              S3 will not do it, however often it is asked
│       ├── BucketMissing
│       ├── ObjectMissing      404
│       ├── ObjectForbidden    403
│       ├── ObjectArchived     it has to be restored before it can be read
│       ├── ObjectExists       412 of if_none_match
│       └── ObjectChanged      412 of if_match, or of a copy whose source changed under way
└── TransientError
    └── S3Unavailable          the same call may succeed later
        └── WriteConflict      409: another write of the key was under way
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ConnectFailure

from lakehouse.errors import TerminalError, TransientError


class S3Refused(TerminalError):
    """S3 will not do it, however often it is asked.

    Attributes:
        address: `s3://` address that it was about.
        code: S3's code, or the HTTP status where S3 sends no more, as to HEAD.
    """

    def __init__(self, what: str, *, address: str, code: str) -> None:
        self.address, self.code = address, code
        super().__init__(what)


class BucketMissing(S3Refused):
    """There is no such bucket."""


class ObjectMissing(S3Refused):
    """There is no such object, or version of it."""


class ObjectForbidden(S3Refused):
    """The caller may not; or may not list the bucket, and there is no such object."""


class ObjectArchived(S3Refused):
    """The object has to be restored before it can be read or copied."""


class UnmetCondition(S3Refused):
    """The condition of a write did not hold, and nothing was written by the call that S3 answered.

    Attributes:
        is_repeated: Whether the SDK had sent the request before, without an answer that reached it. Then what is there may be what this very call wrote:
            read it before you take it for another's.
    """

    def __init__(self, what: str, *, address: str, code: str, is_repeated: bool = False) -> None:
        self.is_repeated = is_repeated
        super().__init__(what, address=address, code=code)


class ObjectExists(UnmetCondition):
    """There is an object of this key, and the write asked for none."""


class ObjectChanged(UnmetCondition):
    """The object is another one by now, or gone."""


class S3Unavailable(TransientError):
    """S3 could not do it this time, although the SDK has tried several times.

    Attributes:
        address: `s3://` address that it was about.
        code: S3's code, or the HTTP status.
    """

    def __init__(self, what: str, *, address: str, code: str) -> None:
        self.address, self.code = address, code
        super().__init__(what)


class WriteConflict(S3Unavailable):
    """Another write of the same key was under way; write again, after reading anew if the condition was an ETag."""


MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
MARKER = frozenset({"405", "MethodNotAllowed"})
"""A version that is asked for is a delete marker."""

UNMET = frozenset({"412", "PreconditionFailed"})
_FORBIDDEN = frozenset({"403", "AccessDenied", "AllAccessDisabled"})
_CONFLICT = frozenset({"409", "ConditionalRequestConflict"})
UNREACHED = (HTTPClientError, ConnectFailure)
"""What botocore raises when there is no answer."""

PASSING = frozenset(
    {"500", "502", "503", "504", "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"}
)
"""Codes of what may be otherwise the next time."""


def code_of(error: ClientError) -> str:
    """S3's code; HEAD has no body to say it in, and the code is then the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: BaseException, address: str) -> BaseException:
    """Our word for what went wrong at an address; what is not S3's stays what it is."""
    if isinstance(error, UNREACHED):
        return S3Unavailable(f"S3 did not answer about {address}: {error}", address=address, code=type(error).__name__)
    if not isinstance(error, ClientError):
        return error
    code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
    about = {"address": address, "code": code}
    said = f"{code}: {message}" if message else code
    if code == "NoSuchBucket":
        return bucket_missing(address, code=code)
    if code in MISSING:
        return ObjectMissing(f"there is no object {address}: check the key, letter by letter", **about)
    if code in MARKER:
        return ObjectMissing(f"that version of {address} is a delete marker, it holds nothing: name another version", **about)
    if code in _FORBIDDEN:
        return ObjectForbidden(
            f"S3 refuses {address} ({said}): the caller lacks a permission on the object or its key; or there is no such object, which S3 tells only "
            "those who may list the bucket (s3:ListBucket)",
            **about,
        )
    if code == "InvalidObjectState":
        return ObjectArchived(f"{address} is archived: restore it first (`aws s3api restore-object`), then ask again", **about)
    if code in UNMET:
        return ObjectChanged(
            f"{address} is not the object that it was: read it anew, then decide again", **about, is_repeated=_was_repeated(error)
        )
    if code in _CONFLICT:
        return WriteConflict(f"another write of {address} was under way ({said}): write again", **about)
    if code in PASSING:
        return S3Unavailable(f"S3 could not serve {address} ({said}): try again later", **about)
    return S3Refused(f"S3 refuses {address}: {said}", **about)


def bucket_missing(address: str, *, code: str) -> BucketMissing:
    """There is no bucket for an address."""
    bucket = address.removeprefix("s3://").partition("/")[0]
    return BucketMissing(
        f"there is no bucket {bucket}: check its name, and the account and region of the client", address=f"s3://{bucket}", code=code
    )


@contextmanager
def our_words(address: str) -> Iterator[None]:
    """Raise what S3 says no with as this module words it."""
    try:
        yield
    except (ClientError, *UNREACHED) as error:
        raise translated(error, address) from error


def _was_repeated(error: ClientError) -> bool:
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0
