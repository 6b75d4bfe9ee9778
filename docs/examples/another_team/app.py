"""Another team's platform in one file: a lake, a table from a contract, and a Glue job that may write it."""

from pathlib import Path

from aws_cdk import App, Aws, Stack

from constructs_lib.catalog import CatalogDatabase, IcebergTable, TableFunction
from constructs_lib.processing import GlueSparkJob, JobCode, JobLogs, SecurityConfiguration
from constructs_lib.security import DataKeys
from constructs_lib.storage import DataLake
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.tables import table_of
from lakehouse.naming import Names

HERE = Path(__file__).parent

app = App(builtin_cloud_formation_validation=False)
stack = Stack(app, "weather")
names = Names(project="weather", env="dev", prefix="weather-dev", account=Aws.ACCOUNT_ID, region=Aws.REGION)
keys = DataKeys(stack, "Keys", names=names)
lake = DataLake(stack, "Lake", names=names, key=keys.lake)

definition = table_of(compile_contracts(HERE / "contracts")["weather.stations"], "gold")
database = CatalogDatabase(stack, "Gold", names=names, zone="gold", domain="weather", lake=lake.by_name)
function = TableFunction(stack, "Tables", names=names, log_key=keys.logs)
table = IcebergTable(stack, "Stations", definition=definition, lake=lake.by_name, database=database, function=function)

logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "stations"), key=keys.logs)
security = SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=keys.lake)
code = JobCode.from_script(HERE / "load.py")
job = GlueSparkJob(stack, "Load", name=names.job("stations", "load"), code=code, logs=logs, security_configuration=security)
table.grants.write(job.role)

app.synth()
