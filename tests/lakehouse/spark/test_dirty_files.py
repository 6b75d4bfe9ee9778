"""Each kind of dirty file ends as the design says, alone and all together."""

import pytest

from local.tpch.dirty import DIRTY_FILES, expected_reasons
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark


def test_every_dirty_file_ends_where_it_should_and_disturbs_no_other(orders: Lake) -> None:
    files = {dirty.name: orders.deliver(dirty.name, dirty.content) for dirty in DIRTY_FILES}
    ingested = orders.ingest(list(files.values()))
    found = orders.refine(list(files.values()))

    for dirty in DIRTY_FILES:
        file = files[dirty.name]
        outcome = ingested.rejected.get(file)
        assert (outcome.outcome, outcome.reason) == (dirty.outcome, dirty.reason) if outcome else dirty.outcome == "loaded", dirty.fault
        assert ingested.loaded.get(file, 0) == dirty.rows_in, dirty.fault
        assert bool(ingested.extras.get(file)) == dirty.warns, dirty.fault
    assert found.reasons == dict(sorted(expected_reasons().items()))
    assert found.counts == {
        "rows_in": sum(dirty.rows_in for dirty in DIRTY_FILES),
        "silver": sum(dirty.silver for dirty in DIRTY_FILES),
        "superseded": sum(dirty.superseded for dirty in DIRTY_FILES),
        "quarantined": sum(dirty.quarantined for dirty in DIRTY_FILES),
    }
