"""Tables of run state in moto, for tests of the modules that keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import moto

from tests.lambdas.world import Clock, client, make_tables


@contextmanager
def state_tables() -> Iterator[tuple[Any, Clock]]:
    """Audit, control, watermarks and lineage; a client of them, and a clock."""
    with moto.mock_aws():
        dynamodb = client("dynamodb")
        make_tables(dynamodb)
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        dynamodb.create_table(TableName="watermarks", KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
        yield dynamodb, Clock()
