"""Pipeline specs: what they may say, and every fault with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.pipelines.loader import load_pipelines
from lakehouse.pipelines.spec import After, Arrival, PipelineSpec, Schedule

CHECKOUT = Path(__file__).resolve().parents[3]
ORDERS = """\
pipeline: orders
owner: team
trigger: {arrival: tpch.orders}
steps:
  - {job: ingest, writes: bronze.tpch.orders}
  - {job: refine, writes: silver.tpch.orders}
"""
DAILY = """\
pipeline: daily
owner: team
trigger: {after: [orders]}
steps:
  - job: publish
    transform: tpch.daily_revenue
    reads: [silver.tpch.orders]
    writes: gold.tpch.daily_revenue
"""


@pytest.fixture(scope="module")
def contracts() -> dict[str, CompiledContract]:
    return compile_contracts(CHECKOUT / "contracts")


class Specs:
    """Specs in a temporary folder."""

    def __init__(self, root: Path, contracts: dict[str, CompiledContract]) -> None:
        self.folder = root / "pipelines"
        self.folder.mkdir()
        self.contracts = contracts

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def load(self, **files: str) -> dict[str, PipelineSpec]:
        self.write(**files)
        return {spec.name: spec for spec in load_pipelines(self.folder, self.contracts)}

    def faults(self, **files: str) -> tuple[Fault, ...]:
        with pytest.raises(ConfigurationError) as caught:
            self.load(**files)
        return caught.value.faults


@pytest.fixture
def specs(tmp_path: Path, contracts: dict[str, CompiledContract]) -> Specs:
    return Specs(tmp_path, contracts)


def test_the_pipelines_of_the_checkout_load(contracts: dict[str, CompiledContract]) -> None:
    loaded = {spec.name: spec for spec in load_pipelines(CHECKOUT / "pipelines", contracts)}
    assert set(loaded) == {path.stem for path in (CHECKOUT / "pipelines").glob("*.yaml")}
    assert loaded["orders"].trigger == Arrival(dataset="tpch.orders")
    assert loaded["daily_revenue"].trigger == After(pipelines=("orders", "customer", "lineitem"))
    assert [str(output) for output in loaded["orders"].outputs] == ["bronze.tpch.orders", "silver.tpch.orders", "quarantine.tpch.orders"]
    assert loaded["daily_revenue"].contract_ids == ("tpch.customer", "tpch.daily_revenue", "tpch.lineitem", "tpch.orders")
    assert loaded["shop_orders"].trigger == Schedule(expression="cron(20 2 * * ? *)", time_zone="Europe/Berlin")
    assert [str(load.reads) for load in loaded["shop_sales"].loads] == ["gold.shop.daily_sales"]


def test_a_refine_step_reads_bronze_and_what_its_relationships_name(contracts: dict[str, CompiledContract]) -> None:
    lineitem = next(spec for spec in load_pipelines(CHECKOUT / "pipelines", contracts) if spec.name == "lineitem")
    assert [str(dataset) for dataset in lineitem.steps[1].reads] == ["bronze.tpch.lineitem", "silver.tpch.orders"]


def test_defaults(specs: Specs) -> None:
    spec = specs.load(orders=ORDERS)["orders"]
    assert (spec.timeout_minutes, spec.description) == (90, "")
    assert [(step.name, step.engine) for step in spec.steps] == [("ingest", "glue"), ("refine", "glue")]


@pytest.mark.parametrize("zone", ["", ", time_zone: Europe/Berlin"])
def test_a_schedule_has_an_expression_and_a_zone(specs: Specs, zone: str) -> None:
    spec = specs.load(daily=DAILY.replace("{after: [orders]}", f'{{schedule: "cron(0 3 * * ? *)"{zone}}}'))["daily"]
    assert spec.trigger == Schedule(expression="cron(0 3 * * ? *)", time_zone="Europe/Berlin" if zone else "UTC")


def test_an_arrival_pipeline_may_publish_too(specs: Specs) -> None:
    text = (
        ORDERS
        + "  - {job: publish, name: gold, transform: tpch.daily_revenue, reads: [silver.tpch.orders], writes: gold.tpch.daily_revenue}\n"
    )
    assert [step.name for step in specs.load(orders=text)["orders"].steps] == ["ingest", "refine", "gold"]


def test_what_is_published_may_be_loaded(specs: Specs) -> None:
    text = DAILY + "  - {load: redshift, reads: gold.tpch.daily_revenue}\n"
    spec = specs.load(daily=text, orders=ORDERS)["daily"]
    (load,) = spec.loads
    assert (load.name, load.into, str(load.reads)) == ("load", "redshift", "gold.tpch.daily_revenue")
    assert [str(output) for output in spec.outputs] == ["gold.tpch.daily_revenue"]


def test_every_fault_of_every_file_is_told_at_once(specs: Specs) -> None:
    found = specs.faults(orders=ORDERS.replace("owner", "ownr").replace("ingest", "ingset"), daily=DAILY.replace("gold.tpch", "gold.tpcx"))
    assert [(fault.file, fault.line) for fault in found] == [
        ("pipelines/daily.yaml", 8),
        ("pipelines/orders.yaml", 1),
        ("pipelines/orders.yaml", 2),
        ("pipelines/orders.yaml", 5),
        ("pipelines/orders.yaml", 6),
    ]


CASES: dict[str, tuple[str, str, str, str, str]] = {
    "unknown key": ("orders", ORDERS + "retries: 3\n", "retries", "there is no key 'retries'", "use one of"),
    "typo": ("orders", ORDERS.replace("owner", "onwer"), "onwer", "there is no key 'onwer'", "did you mean 'owner'"),
    "missing key": ("orders", ORDERS.replace("owner: team\n", ""), "(root)", "owner is missing", "add owner: team"),
    "version of the grammar": ("orders", ORDERS + "version: 2\n", "version", "2 is not a version of the grammar", "version: 1"),
    "other name": (
        "orders",
        ORDERS.replace("pipeline: orders", "pipeline: order"),
        "pipeline",
        "is not the name of the file",
        "pipeline: orders",
    ),
    "name in capitals": ("Orders", ORDERS.replace("pipeline: orders", "pipeline: Orders"), "pipeline", "is not a name", "lower-case"),
    "long name": ("a" * 25, ORDERS.replace("pipeline: orders", "pipeline: " + "a" * 25), "pipeline", "is not a name", "up to 24"),
    "name as a number": ("orders", ORDERS.replace("pipeline: orders", "pipeline: 5"), "pipeline", "5 is not text", "pipeline: name"),
    "empty owner": ("orders", ORDERS.replace("team", '""'), "owner", "is empty", "owner: team"),
    "timeout as text": ("orders", ORDERS + 'timeout_minutes: "90"\n', "timeout_minutes", "is not a whole number", "1-1440"),
    "timeout as a flag": ("orders", ORDERS + "timeout_minutes: true\n", "timeout_minutes", "is not a whole number", "1-1440"),
    "timeout of nothing": ("orders", ORDERS + "timeout_minutes: 0\n", "timeout_minutes", "0 is out of bounds", "1 to 1440"),
    "timeout of days": ("orders", ORDERS + "timeout_minutes: 1441\n", "timeout_minutes", "1441 is out of bounds", "1 to 1440"),
    "no trigger": ("orders", ORDERS.replace("{arrival: tpch.orders}", "{}"), "trigger", "has 0 keys", "exactly one"),
    "two triggers": (
        "orders",
        ORDERS.replace("{arrival: tpch.orders}", "{arrival: tpch.orders, after: [orders]}"),
        "trigger",
        "has 2 keys",
        "exactly one",
    ),
    "trigger as text": ("orders", ORDERS.replace("{arrival: tpch.orders}", "tpch.orders"), "trigger", "is not a mapping", "{arrival:"),
    "unknown trigger": (
        "orders",
        ORDERS.replace("arrival:", "arival:"),
        "trigger.arival",
        "there is no key 'arival'",
        "did you mean 'arrival'",
    ),
    "schedule": (
        "orders",
        ORDERS.replace("{arrival: tpch.orders}", '{schedule: "cron(0 3 * * ? *)"}'),
        "steps[0].writes",
        "ingest needs files, but the pipeline starts by the clock",
        "{arrival: tpch.orders}",
    ),
    "schedule of five fields": (
        "daily",
        DAILY.replace("{after: [orders]}", '{schedule: "cron(0 3 * * *)"}'),
        "trigger.schedule",
        "has 5 fields",
        "cron(0 3 * * ? *)",
    ),
    "schedule in no zone": (
        "daily",
        DAILY.replace("{after: [orders]}", "{schedule: rate(6 hours), time_zone: Berlin}"),
        "trigger.time_zone",
        "there is no time zone 'Berlin'",
        "Europe/Berlin",
    ),
    "zone of no schedule": (
        "daily",
        DAILY.replace("{after: [orders]}", "{after: [orders], time_zone: UTC}"),
        "trigger.time_zone",
        "there is no schedule",
        "add schedule",
    ),
    "schedule and after": (
        "daily",
        DAILY.replace("{after: [orders]}", "{after: [orders], schedule: rate(6 hours)}"),
        "trigger",
        "has 2 keys",
        "exactly one",
    ),
    "stream": (
        "orders",
        ORDERS.replace("{arrival: tpch.orders}", "{stream: orders}"),
        "trigger.stream",
        "stream cannot be applied yet",
        "arrival",
    ),
    "arrival of nothing": (
        "orders",
        ORDERS.replace("arrival: tpch.orders", "arrival: tpch.order"),
        "trigger.arrival",
        "there is no deployed contract 'tpch.order'",
        "did you mean 'tpch.orders'",
    ),
    "arrival of a gold table": (
        "orders",
        ORDERS.replace("arrival: tpch.orders", "arrival: tpch.daily_revenue"),
        "trigger.arrival",
        "no files feed tpch.daily_revenue",
        "s3 server",
    ),
    "no steps": ("orders", ORDERS.split("steps", maxsplit=1)[0] + "steps: []\n", "steps", "is empty", "steps: list of steps"),
    "step as text": ("orders", ORDERS + "  - refine\n", "steps[2]", "'refine' is not a step", "{job:"),
    "step without a job": ("orders", ORDERS.replace("job: refine, ", ""), "steps[1]", "job is missing", "ingest, refine or publish"),
    "unknown job": ("orders", ORDERS.replace("refine", "refien"), "steps[1].job", "there is no job 'refien'", "did you mean 'refine'"),
    "load of a list": (
        "daily",
        DAILY + "  - {load: redshift, reads: [gold.tpch.daily_revenue]}\n",
        "steps[1].reads",
        "is not text",
        "gold.<domain>.<dataset>",
    ),
    "load into another warehouse": (
        "daily",
        DAILY + "  - {load: snowflake, reads: gold.tpch.daily_revenue}\n",
        "steps[1].load",
        "there is no load 'snowflake'",
        "redshift",
    ),
    "load of silver": (
        "daily",
        DAILY + "  - {load: redshift, reads: silver.tpch.orders}\n",
        "steps[1].reads",
        "silver is not loaded",
        "gold",
    ),
    "load of nothing": ("daily", DAILY + "  - {load: redshift}\n", "steps[1]", "reads is missing", "add reads"),
    "load with an engine": (
        "daily",
        DAILY + "  - {load: redshift, reads: gold.tpch.daily_revenue, engine: glue}\n",
        "steps[1].engine",
        "there is no key 'engine'",
        "use one of",
    ),
    "job after a load": (
        "orders",
        ORDERS.replace("  - {job: refine", "  - {load: redshift, reads: gold.tpch.daily_revenue}\n  - {job: refine"),
        "steps[2]",
        "the job refine comes after a load",
        "put the loads last",
    ),
    "two loads of one name": (
        "daily",
        DAILY + "  - {load: redshift, reads: gold.tpch.daily_revenue}\n" * 2,
        "steps[2]",
        "a second step is called 'load'",
        "add name",
    ),
    "one table loaded twice": (
        "daily",
        DAILY + "  - {load: redshift, reads: gold.tpch.daily_revenue}\n  - {load: redshift, name: again, reads: gold.tpch.daily_revenue}\n",
        "steps[2].reads",
        "is also loaded at pipelines/daily.yaml:9",
        "remove one",
    ),
    "only a load": (
        "daily",
        DAILY.split("  - job", maxsplit=1)[0] + "  - {load: redshift, reads: gold.tpch.daily_revenue}\n",
        "steps",
        "only loads",
        "publish step",
    ),
    "other engine": (
        "orders",
        ORDERS.replace("bronze.tpch.orders}", "bronze.tpch.orders, engine: athena}"),
        "steps[0].engine",
        "athena cannot be applied yet",
        "engine: glue",
    ),
    "unknown engine": (
        "orders",
        ORDERS.replace("bronze.tpch.orders}", "bronze.tpch.orders, engine: gleu}"),
        "steps[0].engine",
        "there is no engine 'gleu'",
        "did you mean 'glue'",
    ),
    "dataset of two parts": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "silver.orders"),
        "steps[1].writes",
        "is not a dataset name",
        "<zone>.<domain>.<dataset>",
    ),
    "unknown zone": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "sliver.tpch.orders"),
        "steps[1].writes",
        "names the zone 'sliver'",
        "bronze, silver",
    ),
    "unknown dataset": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "silver.tpch.oders"),
        "steps[1].writes",
        "there is no deployed contract 'tpch.oders'",
        "did you mean 'tpch.orders'",
    ),
    "zone without a table": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "gold.tpch.orders"),
        "steps[1].writes",
        "tpch.orders has no table in gold",
        "silver.tpch.orders",
    ),
    "refine into bronze": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "bronze.tpch.orders"),
        "steps[1].writes",
        "refine writes silver, not bronze",
        "silver.tpch.orders",
    ),
    "refine of another dataset": (
        "orders",
        ORDERS.replace("silver.tpch.orders", "silver.tpch.customer"),
        "steps[1].writes",
        "no step before it ingests tpch.customer",
        "bronze.tpch.customer",
    ),
    "ingest of another dataset": (
        "orders",
        ORDERS.replace("bronze.tpch.orders", "bronze.tpch.customer").replace("silver.tpch.orders", "silver.tpch.customer"),
        "steps[0].writes",
        "files of tpch.orders arrive, but tpch.customer is ingested",
        "bronze.tpch.orders",
    ),
    "ingest that is not first": (
        "orders",
        ORDERS + "  - {job: ingest, name: again, writes: bronze.tpch.orders}\n",
        "steps[2].writes",
        "ingest is not the first step",
        "put it first",
    ),
    "same step twice": (
        "orders",
        ORDERS + "  - {job: publish, name: refine, transform: a.b, reads: [silver.tpch.orders], writes: gold.tpch.daily_revenue}\n",
        "steps[2]",
        "a second step is called 'refine'",
        "add name:",
    ),
    "arrival without ingest": (
        "orders",
        ORDERS.replace("  - {job: ingest, writes: bronze.tpch.orders}\n", "").replace(
            "{job: refine, writes: silver.tpch.orders}",
            "{job: publish, transform: a.b, reads: [silver.tpch.orders], writes: gold.tpch.daily_revenue}",
        ),
        "steps",
        "no step ingests them",
        "job: ingest",
    ),
    "ingest after others": (
        "orders",
        ORDERS.replace("{arrival: tpch.orders}", "{after: [daily]}").replace("  - {job: refine, writes: silver.tpch.orders}\n", ""),
        "steps[0].writes",
        "the pipeline starts after others",
        "trigger: {arrival: tpch.orders}",
    ),
    "ingest with reads": (
        "orders",
        ORDERS.replace("bronze.tpch.orders}", "bronze.tpch.orders, reads: [silver.tpch.customer]}"),
        "steps[0].reads",
        "ingest takes no reads",
        "remove it",
    ),
    "publish without transform": (
        "daily",
        DAILY.replace("    transform: tpch.daily_revenue\n", ""),
        "steps[0]",
        "publish has no transform",
        "jobs/transforms",
    ),
    "transform of one part": (
        "daily",
        DAILY.replace("transform: tpch.daily_revenue", "transform: daily"),
        "steps[0].transform",
        "is not a transform",
        "<domain>.<function>",
    ),
    "publish without reads": (
        "daily",
        DAILY.replace("    reads: [silver.tpch.orders]\n", ""),
        "steps[0]",
        "publish has no reads",
        "reads: [silver",
    ),
    "publish from bronze": (
        "daily",
        DAILY.replace("silver.tpch.orders", "bronze.tpch.orders"),
        "steps[0].reads[0]",
        "publish reads silver and gold, not bronze",
        "silver.tpch.orders",
    ),
    "publish from itself": (
        "daily",
        DAILY.replace("silver.tpch.orders", "gold.tpch.daily_revenue"),
        "steps[0].reads[0]",
        "is what the step writes",
        "other datasets",
    ),
    "reads twice": (
        "daily",
        DAILY.replace("[silver.tpch.orders]", "[silver.tpch.orders, silver.tpch.orders]"),
        "steps[0].reads[1]",
        "stands twice",
        "keep it once",
    ),
    "reads as text": ("daily", DAILY.replace("[silver.tpch.orders]", "silver.tpch.orders"), "steps[0].reads", "is not a list", "reads: ["),
    "publish into silver": (
        "daily",
        DAILY.replace("gold.tpch.daily_revenue", "silver.tpch.customer"),
        "steps[0].writes",
        "publish writes gold, not silver",
        "gold dataset",
    ),
    "after nothing": (
        "daily",
        DAILY.replace("[orders]", "[ordrs]"),
        "trigger.after[0]",
        "there is no pipeline 'ordrs'",
        "did you mean 'orders'",
    ),
    "after twice": ("daily", DAILY.replace("[orders]", "[orders, orders]"), "trigger.after[1]", "stands twice", "keep it once"),
    "after a number": ("daily", DAILY.replace("[orders]", "[1]"), "trigger.after[0]", "is not the name of a pipeline", "write names"),
    "after itself": (
        "daily",
        DAILY.replace("[orders]", "[daily]"),
        "trigger.after",
        "the pipeline starts itself: daily after daily",
        "remove one",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(specs: Specs, case: str) -> None:
    name, text, place, problem, fix = CASES[case]
    files = {"orders": ORDERS, "daily": DAILY, name: text}
    if name == "orders" and "daily_revenue" in text:
        del files["daily"]
    found = specs.faults(**files)
    matching = [fault for fault in found if fault.place == place and problem in fault.problem and fix in fault.fix]
    assert len(matching) == 1, "\n".join(map(str, found))
    assert matching[0].file == f"pipelines/{name}.yaml"
    assert matching[0].line > 0
    # The second pipeline waits for the first one, which exists even if it has faults: nothing follows from them.
    assert all(fault.file == f"pipelines/{name}.yaml" for fault in found), found


def test_two_pipelines_that_write_one_table(specs: Specs) -> None:
    found = specs.faults(orders=ORDERS, again=ORDERS.replace("pipeline: orders", "pipeline: again"))
    assert [(fault.file, fault.line, fault.problem) for fault in found] == [
        ("pipelines/orders.yaml", 5, "bronze.tpch.orders is also written at pipelines/again.yaml:5"),
        ("pipelines/orders.yaml", 6, "silver.tpch.orders is also written at pipelines/again.yaml:6"),
    ]


def test_a_circle_of_pipelines(specs: Specs) -> None:
    other = DAILY.replace("pipeline: daily", "pipeline: other").replace("[orders]", "[daily]")
    found = specs.faults(daily=DAILY.replace("[orders]", "[other]"), other=other)
    circles = [(fault.file, fault.problem) for fault in found if fault.place == "trigger.after"]
    assert circles == [
        ("pipelines/daily.yaml", "the pipeline starts itself: daily after other after daily"),
        ("pipelines/other.yaml", "the pipeline starts itself: other after daily after other"),
    ]


def test_a_pipeline_beside_a_circle_is_not_blamed(specs: Specs) -> None:
    found = specs.faults(
        orders=ORDERS,
        daily=DAILY.replace("[orders]", "[daily]"),
        third=DAILY.replace("pipeline: daily", "pipeline: third").replace("[orders]", "[daily]"),
    )
    assert not [fault for fault in found if fault.file == "pipelines/third.yaml" and "starts itself" in fault.problem]


def test_a_retired_dataset_is_not_used(tmp_path: Path, contracts: dict[str, CompiledContract]) -> None:
    specs = Specs(tmp_path, {**contracts, "tpch.orders": replace(contracts["tpch.orders"], status="retired")})
    assert {fault.problem for fault in specs.faults(orders=ORDERS)} == {"tpch.orders is retired"}


def test_files_that_would_not_be_read(specs: Specs) -> None:
    (specs.folder / "more.yml").write_text(ORDERS)
    assert "name it more.yaml" in specs.faults(orders=ORDERS)[0].fix


def test_no_folder(tmp_path: Path, contracts: dict[str, CompiledContract]) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_pipelines(tmp_path / "pipelines", contracts)


def test_a_database_is_read_by_glue_and_what_follows_may_run_elsewhere(specs: Specs) -> None:
    """EMR Serverless has no connections: a step that it cannot do is refused before anything is deployed."""
    text = """\
pipeline: shop
owner: team
trigger: {schedule: "rate(1 day)"}
steps:
  - {job: ingest, writes: bronze.shop.orders, engine: ENGINE}
  - {job: refine, writes: silver.shop.orders, engine: emr-serverless}
"""
    assert [step.engine for step in specs.load(shop=text.replace("ENGINE", "glue"))["shop"].steps] == ["glue", "emr-serverless"]
    (fault,) = specs.faults(shop=text.replace("ENGINE", "emr-serverless"))
    assert (fault.line, fault.place) == (5, "steps[0].engine")
    assert "Glue alone has connections" in fault.problem
    assert fault.fix.startswith("write engine: glue")
