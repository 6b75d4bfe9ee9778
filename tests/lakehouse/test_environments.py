"""Environments: layers, what a file may say, and every fault with its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.environments import Environment, environment_names, load_environment
from lakehouse.errors import ConfigurationError, Fault

CHECKOUT = Path(__file__).resolve().parents[2]
SIZES_RETENTION_REMOVAL = {
    "account",
    "databases",
    "region",
    "removal",
    "log_retention_days",
    "arrivals",
    "glue",
    "emr",
    "emr_serverless",
    "athena",
    "lifecycle",
    "audit",
    "network",
    "schedules",
}

EXISTING_VPC = "network: {vpc: {id: vpc-01234567, private_subnet_ids: [subnet-00000001, subnet-00000002]}}\n"


def write(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "config"
    folder.mkdir(exist_ok=True)
    texts = {"base": "project: shop\n", "dev": "removal: retain\n", **files}
    if not any("network" in text for text in texts.values()):
        texts["base"] += EXISTING_VPC
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path, env: str | None = "dev") -> tuple[Fault, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_environment(folder, env)
    return caught.value.faults


@pytest.mark.parametrize("env", environment_names(CHECKOUT / "config"))
def test_every_environment_of_the_checkout_loads(env: str) -> None:
    environment = load_environment(CHECKOUT / "config", env)
    assert environment.env == env
    assert environment.names(account="1" * 12, region="us-east-1").bucket("query-results").startswith(f"lakehouse-{env}-query-results-")


def test_the_checkout_has_the_four_environments() -> None:
    assert environment_names(CHECKOUT / "config") == ("dev", "local", "prod", "staging")


def test_local_differs_in_account_sizes_retention_removal_and_the_clock_only() -> None:
    local = yaml.safe_load((CHECKOUT / "config/local.yaml").read_text())
    assert set(local) <= SIZES_RETENTION_REMOVAL
    prod, laptop = load_environment(CHECKOUT / "config", "prod"), load_environment(CHECKOUT / "config", "local")
    same = set(Environment.model_fields) - SIZES_RETENTION_REMOVAL - {"env", "name_prefix", "termination_protection"}
    assert {key: getattr(prod, key) for key in same} == {key: getattr(laptop, key) for key in same}


def test_prod_is_protected() -> None:
    prod = load_environment(CHECKOUT / "config", "prod")
    assert prod.termination_protection
    assert prod.removal == "retain"


def test_local_names() -> None:
    names = load_environment(CHECKOUT / "config", "local").names()
    assert names.bucket("raw") == "lakehouse-local-raw-000000000000-us-east-1"
    assert names.database("silver", "tpch") == "silver_tpch"


def test_layers_are_joined_key_by_key_and_lists_are_replaced(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        base="project: shop\nglue: {workers: 3, timeout_minutes: 5}\nalerts: {emails: [a@b.c]}\ntags: {a: x}\n",
        dev="glue: {workers: 4}\nalerts: {emails: [d@e.f, g@h.i]}\ntags: {b: y}\n",
    )
    environment = load_environment(folder, "dev")
    assert (environment.glue.workers, environment.glue.timeout_minutes) == (4, 5)
    assert environment.alerts.emails == ("d@e.f", "g@h.i")
    assert environment.tags == {"a": "x", "b": "y"}
    assert environment.name_prefix == "shop-dev"


def test_an_account_that_nobody_says_is_told(tmp_path: Path) -> None:
    environment = load_environment(write(tmp_path), "dev")
    with pytest.raises(ValueError, match=r"has no account and region: pass them, or set account and region in config/dev\.yaml"):
        environment.names()
    assert (
        environment.names(account="${Token[AWS.AccountId]}", region="eu-west-1").bucket("raw")
        == "shop-dev-raw-${Token[AWS.AccountId]}-eu-west-1"
    )


@pytest.mark.parametrize("env", [None, "prd", "base", "../dev", ""])
def test_an_unknown_environment_lists_the_environments(env: str | None) -> None:
    found = faults(CHECKOUT / "config", env)
    assert len(found) == 1
    assert "dev, local, prod, staging" in found[0].fix


def test_what_is_deployed_names_no_account_and_no_region() -> None:
    folders = ("constructs_lib", "contracts", "jobs", "lakehouse", "lambdas", "pipelines", "stacks")
    sources = [path for folder in folders for path in (CHECKOUT / folder).rglob("*") if path.suffix in {".py", ".yaml"}]
    naming = re.compile(r"""['"]([0-9]{12}|[a-z]{2}(-[a-z]+)+-[0-9])['"]|arn:aws:\w+:[a-z]""")
    own = [path for path in (CHECKOUT / "app.py", *sources) if "_bundled" not in path.parts]
    assert len(own) > 80
    assert [path.relative_to(CHECKOUT).as_posix() for path in own if naming.search(path.read_text(encoding="utf-8"))] == []


def test_no_files_at_all(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    assert "write config/base.yaml" in faults(tmp_path / "config")[0].fix


CASES: dict[str, tuple[str, str, str, str]] = {
    "unknown key": ("termination_protectoin: true\n", "termination_protectoin", "there is no key", "did you mean 'termination_protection'"),
    "unknown key in a section": ("glue: {worker: 3}\n", "glue.worker", "there is no key 'worker'", "did you mean 'workers'"),
    "text for a number": ('glue: {workers: "3"}\n', "glue.workers", "'3' is wrong", "Number of workers"),
    "number for text": ("glue: {version: 6.0}\n", "glue.version", "6.0 is not allowed", "'5.1' or '6.0'"),
    "text for a flag": ('termination_protection: "no"\n', "termination_protection", "is wrong", "CloudFormation refuses"),
    "too few workers": ("glue: {workers: 1}\n", "glue.workers", "greater than or equal to 2", "Number of workers"),
    "too many events": ("arrivals: {batch_size: 10000}\n", "arrivals.batch_size", "less than or equal to 1000", "Most events"),
    "no window": ("arrivals: {batch_seconds: 0}\n", "arrivals", "batch_seconds must be at least 1", "correct the values"),
    "small scan limit": ("athena: {scan_limit_mb: 5}\n", "athena.scan_limit_mb", "greater than or equal to 10", "floor is 10"),
    "odd log retention": ("log_retention_days: 10\n", "(root)", "log_retention_days must be one of 1, 3, 5", "correct"),
    "ladder out of order": (
        "lifecycle: {glacier_ir_days: 40}\n",
        "lifecycle",
        "glacier_ir_days must be at least standard_ia_days + 30 = 60, got 40",
        "correct",
    ),
    "expiry before archive": ("lifecycle: {expire_days: 300}\n", "lifecycle", "expire_days must be more than deep_archive_days", "correct"),
    "unknown removal": ("removal: keep\n", "removal", "'keep' is not allowed", "'retain' or 'destroy'"),
    "destroyed but protected": ("removal: destroy\ntermination_protection: true\n", "(root)", "contradict each other", "correct"),
    "bad account": ('account: "123"\n', "account", "'123' is wrong", "AWS account id"),
    "account as a number": ("account: 123456789012\n", "account", "is wrong", "AWS account id"),
    "bad region": ("region: europe\n", "region", "'europe' is wrong", "AWS region"),
    "long prefix": ("name_prefix: a-very-long-name-prefix\n", "name_prefix", "at most 20", "First part of every physical name"),
    "prefix in capitals": ("name_prefix: Shop\n", "name_prefix", "is wrong", "First part of every physical name"),
    "bad mail address": ("alerts: {emails: [nobody]}\n", "alerts.emails[0]", "'nobody' is wrong", "correct alerts.emails[0]"),
    "tag as a number": ("tags: {a: 1}\n", "tags.a", "1 is wrong", ""),
    "name of the environment": ("env: dev\n", "env", "is written in the file", "remove it"),
    "section as a list": ("glue: [1]\n", "glue", "is wrong", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(tmp_path: Path, case: str) -> None:
    text, place, problem, fix = CASES[case]
    found = faults(write(tmp_path, dev="# development\n" + text))
    assert len(found) == 1, found
    assert (found[0].file, found[0].place) == ("config/dev.yaml" if place != "(root)" else found[0].file, place), found
    assert problem in found[0].problem
    assert fix in found[0].fix
    assert found[0].line >= 1


def test_a_fault_points_into_the_file_that_says_the_value(tmp_path: Path) -> None:
    folder = write(tmp_path, base="project: shop\nglue:\n  workers: 1\n", dev="athena: {scan_limit_mb: 1}\nremovl: x\n")
    assert [(fault.file, fault.line, fault.place) for fault in faults(folder)] == [
        ("config/base.yaml", 3, "glue.workers"),
        ("config/dev.yaml", 1, "athena.scan_limit_mb"),
        ("config/dev.yaml", 2, "removl"),
    ]


def test_what_nobody_says_is_asked_for_in_base(tmp_path: Path) -> None:
    found = faults(write(tmp_path, base="removal: retain\n"))
    assert [(fault.place, fault.fix) for fault in found] == [("project", "add project to config/base.yaml")]


def test_a_base_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "base.yaml").unlink()
    assert faults(folder)[0].file == "config/base.yaml"


ACCOUNT = 'account: "111111111111"\n'
SHARED = f"{ACCOUNT}region: eu-west-1\n"


@pytest.mark.parametrize(
    ("dev", "prod", "place"),
    [
        ("name_prefix: shop\n", "name_prefix: shop\n", "name_prefix"),
        (SHARED + "name_prefix: shop\ndatabase_prefix: dev_\n", "name_prefix: shop\n", "name_prefix"),
        ("name_prefix: shop\n", "name_prefix: shop-prod\n", "name_prefix"),
        ("name_prefix: shop-live-dev\n", "name_prefix: shop-live\n", "name_prefix"),
        (ACCOUNT + "name_prefix: shop\nregion: eu-west-1\n", ACCOUNT + "name_prefix: shop\nregion: eu-central-1\n", "name_prefix"),
        (SHARED, SHARED, "database_prefix"),
    ],
)
def test_two_environments_that_would_share_names_are_refused(tmp_path: Path, dev: str, prod: str, place: str) -> None:
    folder = write(tmp_path, dev=dev, prod=prod)
    for env, other in (("dev", "prod"), ("prod", "dev")):
        found = faults(folder, env)
        assert [(fault.file, fault.place) for fault in found] == [(f"config/{other}.yaml", place)]
        assert env in found[0].problem


@pytest.mark.parametrize(
    ("dev", "prod"),
    [
        ("name_prefix: shop\n", "name_prefix: shopping-prod\n"),
        (ACCOUNT + "name_prefix: shop\n", 'account: "222222222222"\nname_prefix: shop-prod\n'),
    ],
)
def test_prefixes_that_no_rule_confuses_are_welcome(tmp_path: Path, dev: str, prod: str) -> None:
    folder = write(tmp_path, dev=dev, prod=prod)
    assert load_environment(folder, "dev").env == "dev"
    assert load_environment(folder, "prod").env == "prod"


def test_two_environments_in_one_account_have_their_own_databases(tmp_path: Path) -> None:
    folder = write(tmp_path, dev=SHARED + "database_prefix: dev_\n", prod=SHARED)
    assert load_environment(folder, "dev").names().database("silver", "sales") == "dev_silver_sales"
    assert load_environment(folder, "prod").names().database("silver", "sales") == "silver_sales"


def test_the_faults_of_another_environment_do_not_stop_this_one(tmp_path: Path) -> None:
    folder = write(tmp_path, prod="glue: {workers: 0}\n")
    assert load_environment(folder, "dev").env == "dev"
    assert faults(folder, "prod")


def test_an_environment_cannot_be_changed(tmp_path: Path) -> None:
    environment: Any = load_environment(write(tmp_path), "dev")
    with pytest.raises(ValueError, match="frozen"):
        environment.removal = "destroy"


def test_networks_of_environments_may_not_overlap_whatever_their_account(tmp_path: Path) -> None:
    dev = "account: '111111111111'\nnetwork: {cidr: 10.1.0.0/16}\n"
    folder = write(tmp_path, dev=dev, prod="account: '222222222222'\nnetwork: {cidr: 10.1.64.0/20}\n")
    (fault,) = faults(folder)
    assert (fault.file, fault.line, fault.place) == ("config/prod.yaml", 2, "network.cidr")
    assert fault.problem == "the networks of 'dev' (10.1.0.0/16) and 'prod' (10.1.64.0/20) overlap, so they could never be connected"
    assert load_environment(write(tmp_path, dev=dev, prod="network: {cidr: 10.2.0.0/16}\n"), "dev").network.cidr == "10.1.0.0/16"


def test_two_environments_may_share_an_existing_vpc(tmp_path: Path) -> None:
    vpc = "network: {vpc: {id: vpc-01234567, cidr: 10.0.0.0/16, private_subnet_ids: [subnet-00000001, subnet-00000002]}}\n"
    assert load_environment(write(tmp_path, dev=vpc, prod=vpc), "dev").network.range == "10.0.0.0/16"


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        ("network: {flow_logs: all}", "is missing"),
        ("network: {cidr: 10.0.0.0/21}", "run out of addresses in less than a /24"),
        ("network: {cidr: 10.0.0.0/16, nat_gateways: 3}", "nat_gateways must be at most availability_zones = 2, got 3"),
        ("network: {cidr: 10.0.0.0/16, interface_endpoints: [s4]}", "interface_endpoints knows no s4"),
        ("network: {cidr: 10.0.0.0/16, interface_endpoints: [kms, kms]}", "names a service twice"),
        ("network: {cidr: 10.0.0.0/16, availability_zones: 4}", "4 is wrong"),
        ("network: {vpc: {id: vpc-01234567, private_subnet_ids: [subnet-00000001]}}", "must name 2 or 3 subnets, got 1"),
        ("network: {vpc: {private_subnet_ids: [subnet-00000001, subnet-00000002]}}", "is missing"),
        (
            "network: {cidr: 10.0.0.0/16, vpc: {id: vpc-01234567, private_subnet_ids: [subnet-00000001, subnet-00000002]}}",
            "cidr and vpc contradict each other",
        ),
        (
            "network: {nat_gateways: 1, vpc: {id: vpc-01234567, private_subnet_ids: [subnet-00000001, subnet-00000002]}}",
            "nat_gateways must be at most 0, an existing VPC has its own ways out, got 1",
        ),
    ],
)
def test_a_network_that_cannot_work_is_refused(tmp_path: Path, network: str, problem: str) -> None:
    (fault,) = faults(write(tmp_path, dev=network + "\n"))
    assert fault.place.startswith("network")
    assert problem in f"{fault.problem}, {fault.fix}"


@pytest.mark.parametrize(("section", "problem"), [
    ("{worker_vcpu: 4, worker_memory_gb: 40}", "a worker of 4 vCPU has 8-30 GB of memory"),
    ("{worker_vcpu: 8, worker_memory_gb: 18}", "in steps of 4"),
    ("{executors: 4, max_executors: 2}", "max_executors must be at least executors = 4"),
    ("{max_executors: 100}", "must let one job of 101 workers run, which takes 404 vCPU and 1616 GB"),
    ("{warm_executors: 2}", "warm_drivers and warm_executors must both be 0"),
    ("{worker_vcpu: 3}", "3 is not allowed"),
])  # fmt: skip
def test_jobs_on_emr_serverless_fit_their_workers_and_the_application(tmp_path: Path, section: str, problem: str) -> None:
    (fault,) = faults(write(tmp_path, dev=f"emr_serverless: {section}\n"))
    assert fault.file == "config/dev.yaml"
    assert fault.place.startswith("emr_serverless")
    assert problem in fault.problem


SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop-AbCdEf"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
THERE = f"secret_arn: '{SECRET}', secret_key_arn: '{KEY}'"


def test_a_database_that_is_there_is_its_secret_and_its_reader(tmp_path: Path) -> None:
    text = f"databases:\n  shop: {{engine: aurora-postgresql, dbname: shop, {THERE}, reader_endpoint: s.cluster-ro-c1.eu-west-1.rds.amazonaws.com}}\n"
    database = load_environment(write(tmp_path, dev=text), "dev").databases["shop"]
    assert database.is_existing
    assert database.port is None


def test_an_environment_takes_a_database_of_the_base_away(tmp_path: Path) -> None:
    folder = write(tmp_path, base="project: shop\ndatabases:\n  shop: {dbname: shop}\n", dev="databases: {shop: null}\n")
    assert load_environment(folder, "dev").databases == {}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("shop: {}", "databases.shop.dbname", "is missing"),
        ("shop: {dbname: shop, engin: mysql}", "databases.shop.engin", "there is no key 'engin'"),
        ("shop: {dbname: shop, engine: oracle}", "databases.shop.engine", "'oracle' is not allowed"),
        ("shop: {dbname: shop, backup_days: 0}", "databases.shop.backup_days", "greater than or equal to 1"),
        ("Shop: {dbname: shop}", "databases.Shop.[key]", "is wrong"),
        ("shop: {dbname: shop, readers: 0}", "databases.shop", "extraction would load the writer: readers must be at least 1"),
        ("shop: {dbname: shop, reader_endpoint: r}", "databases.shop", "needs secret_arn and secret_key_arn beside reader_endpoint"),
        (f"shop: {{dbname: shop, {THERE}}}", "databases.shop", "extraction would load the writer: reader_endpoint"),
        (f"shop: {{dbname: shop, {THERE}, reader_endpoint: a, writer_endpoint: a}}", "databases.shop", "extraction would load the writer"),
        (
            f"shop: {{dbname: shop, {THERE}, reader_endpoint: s.cluster-c1.eu-west-1.rds.amazonaws.com}}",
            "databases.shop",
            "extraction would load the writer",
        ),
        (
            f"shop: {{dbname: shop, {THERE}, reader_endpoint: r, multi_az: true}}",
            "databases.shop",
            "multi_az is said of a database that the platform makes",
        ),
        ("shop: {dbname: shop, secret_arn: shop}", "databases.shop.secret_arn", "is wrong"),
    ],
)
def test_a_database_that_could_not_be_read_is_refused(tmp_path: Path, text: str, place: str, problem: str) -> None:
    (fault,) = faults(write(tmp_path, dev=f"databases:\n  {text}\n"))
    assert problem in fault.problem
    assert fault.place == place
