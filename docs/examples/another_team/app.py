"""Another team's app: a lake, a table from its contract and a Spark job that may read it, from the installed wheel."""

from pathlib import Path

from aws_cdk import App, Aws, Stack

from constructs_lib.catalog import CatalogDatabase, CatalogTable, IcebergTable, TableFunction
from constructs_lib.processing import CodeAssets, GlueSparkJob, JobCode, JobLogs, SecurityConfiguration
from constructs_lib.security import DataKeys
from constructs_lib.storage import DataLake
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.tables import tables_of
from lakehouse.naming import Names

app = App()
stack = Stack(app, "OurLake")
names = Names(project="sales", env="dev", prefix="sales-dev", account=Aws.ACCOUNT_ID, region=Aws.REGION)
keys = DataKeys(stack, "Keys", alias_prefix=names.prefix, log_group_prefix="/sales/dev")
lake = DataLake(stack, "Lake", names=names, key=keys.lake)
(definition,) = tables_of(compile_contracts(Path("contracts"))["sales.daily_sales"])
table = CatalogTable(dataset=definition.dataset, lake=lake.by_name)
database = CatalogDatabase(
    stack, "Gold", name=table.database, description="Our results", location=f"s3://{lake.by_name.bucket_name('gold')}/sales"
)
function = TableFunction(stack, "Tables", name="sales-dev-tables", log_group_name="/sales/dev/functions/tables", log_key=keys.logs)
IcebergTable(stack, "DailySales", definition=definition, table=table, database=database, function=function)
job = GlueSparkJob(
    stack,
    "Report",
    name="sales-dev-report",
    code=JobCode.from_script("report.py"),
    code_assets=CodeAssets(stack, "Code"),
    logs=JobLogs(stack, "Logs", prefix="/sales/dev/jobs/report", key=keys.logs),
    security_configuration=SecurityConfiguration(stack, "Security", name_prefix="sales-dev", key=keys.lake),
    arguments={"--reads": str(definition.dataset)},
)
table.grants.read(job.role)
app.synth()
