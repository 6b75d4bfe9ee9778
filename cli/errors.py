"""Errors of the command line, and the sentences that AWS's own errors become.

LakehouseError
└── CommandError     a verb could not be done: exit code 1
    └── WrongUseError     the command line itself is wrong: exit code 2
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from lakehouse.errors import LakehouseError

DONE = 0
FAILED = 1
WRONG_USE = 2

EXIT_CODES = {
    DONE: "done",
    FAILED: "failed: the verb could not be done, or what it watched failed",
    WRONG_USE: "wrong use: an unknown verb, option, environment, dataset, run or file; nothing was changed",
}
"""Every exit code of `lake`."""

SIGN_IN = "Sign in as for the AWS CLI (`aws sso login`, AWS_PROFILE or AWS_ACCESS_KEY_ID) and try again"
"""Next step of somebody without credentials."""

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "UnauthorizedException"}
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
}
_MISSING = {
    "ResourceNotFoundException",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "StateMachineDoesNotExist",
    "EntityNotFoundException",
    "NoSuchEntity",
}


class CommandError(LakehouseError):
    """A verb could not be done; the text says what is wrong and the next step.

    Attributes:
        exit_code: What the process ends with.
    """

    exit_code = FAILED


class WrongUseError(CommandError):
    """The command line names something that does not exist or cannot be."""

    exit_code = WRONG_USE


def nearest(word: str, known: Iterable[str]) -> str:
    """Hint for a name that is not known: the nearest one, and all of them if they are few.

    Args:
        word: What was written.
        known: What would have been right.
    """
    names = sorted(known)
    if not names:
        return "there is none yet"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    most = 12
    return f"{hint}Known: {', '.join(names[:most])}{', …' if len(names) > most else ''}"


def explain(error: BotoCoreError | ClientError | BotoConnectionError | HTTPClientError, *, env: str) -> str:
    """One sentence for an error of AWS or of the way to it, with the next step.

    Args:
        error: What boto3 raised.
        env: Environment that the verb spoke to.
    """
    local = env == "local"
    if isinstance(error, ClientError):
        return _explain_answer(error, env=env)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError | TokenRetrievalError | ProfileNotFound):
        return f"there are no AWS credentials for {env}: {error}. {SIGN_IN}"
    if isinstance(error, SSLError):
        fix = "Start the platform anew: `lake down`, then `lake up`" if local else "Check AWS_CA_BUNDLE"
        return f"the connection is not trusted: {error}. {fix}"
    if isinstance(error, EndpointConnectionError | BotoConnectionError | HTTPClientError):
        return f"no answer from {env}: {error}. {'Start the platform: `lake up`' if local else 'Check the network and the region'}"
    return str(error)


def _explain_answer(error: ClientError, *, env: str) -> str:
    detail = error.response.get("Error", {})
    code, message = detail.get("Code", ""), re.sub(r"\s+", " ", detail.get("Message", "")).strip()
    call = error.operation_name
    if code in _DENIED:
        return f"{call} was denied: {message}. The operator role grants what `lake` needs; deploy it anew with `lake deploy --env {env}`"
    if code in _EXPIRED:
        return f"{call}: the credentials are not accepted ({message}). Sign in again and repeat the command"
    if code in _MISSING:
        return f"{call}: {message or code}. It is not deployed in {env}: run `lake deploy --env {env}`"
    return f"{call} failed: {code}: {message}"
