"""The 22 queries of TPC-H on the local Athena over the generator's own files give what an independent engine gives.

`tests/e2e/test_tpch.py` asks them of the tables that pipelines have filled; here a fault is the engine's or the query's.
"""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lakehouse.athena.runner import AthenaRunner
from lakehouse.polling import Pauses
from local.tpch.queries import NUMBERS, TABLES, Query, Summary, independent
from tests.local.engines.lake import Lake

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]

PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


def hive(kind: pa.DataType) -> str:
    """Hive's name of a type of Parquet."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return {"int64": "bigint", "int32": "int", "date32[day]": "date"}.get(str(kind), "string")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator's files."""
    folder = tmp_path_factory.mktemp("tpch")
    command = [
        str(Path(sysconfig.get_path("scripts")) / "tpchgen-cli"),
        "parquet",
        "-s",
        "0.01",
        "-o",
        str(folder),
        "--quiet",
        "--no-progress",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_every_query_gives_what_an_independent_engine_gives(lake: Lake, source: Path) -> None:
    glue, database = lake.aws.client("glue"), lake.aws.name("tpch").replace("-", "_")
    glue.create_database(DatabaseInput={"Name": database})
    for table in TABLES:
        path = source / f"{table}.parquet"
        lake.aws.client("s3").put_object(Bucket=lake.bucket, Key=f"tpch/{table}/{path.name}", Body=path.read_bytes())
        columns = [{"Name": field.name, "Type": hive(field.type)} for field in parquet.read_schema(path)]
        storage = {"Columns": columns, "Location": f"s3://{lake.bucket}/tpch/{table}/", **PARQUET}
        glue.create_table(
            DatabaseName=database,
            TableInput={"Name": table, "TableType": "EXTERNAL_TABLE", "Parameters": {"EXTERNAL": "TRUE"}, "StorageDescriptor": storage},
        )
    group = lake.aws.name("tpch")
    place = {"OutputLocation": f"s3://{lake.bucket}/results/"}
    lake.aws.client("athena").create_work_group(Name=group, Configuration={"ResultConfiguration": place})
    runner = AthenaRunner(
        lake.aws.client("athena"), workgroup=group, database=database, pauses=Pauses(first_seconds=0.05, longest_seconds=0.5)
    )
    expected = independent(source)
    found = {number: Summary.of(number, runner.query(Query.load(number).sql, deadline_seconds=120).rows) for number in NUMBERS}
    assert [number for number in NUMBERS if not found[number].equals(expected[number])] == []
