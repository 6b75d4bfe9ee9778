"""What the policy packs say of every environment: each finding is mended, or acknowledged with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_cdk import Validations

from constructs_lib.checks import InvalidProps
from lakehouse.environments.loading import load_environment
from stacks import policy_packs
from stacks.policy_packs import ACKNOWLEDGED, Finding
from stacks.synthesis import ROOT, synthesize
from tests.stacks.conftest import ENVIRONMENTS, Assembly, flat
from tests.stacks.test_synthesis import run


def acknowledged(finding: Finding, env: str) -> bool:
    """Whether the table has a row for a finding."""
    environment = load_environment(ROOT / "config", env)
    return finding.pack in policy_packs.COMPLIANCE and any(row.covers(finding, environment) for row in ACKNOWLEDGED)


def test_no_pack_finds_anything_that_is_not_acknowledged(assembly: Assembly) -> None:
    assert [finding for finding in assembly.findings if not acknowledged(finding, assembly.env)] == []


def test_every_compliance_pack_has_looked(assembly: Assembly) -> None:
    assert {finding.pack for finding in assembly.findings} == set(policy_packs.COMPLIANCE)


def test_every_acknowledgement_is_still_needed(assemblies: dict[str, Assembly]) -> None:
    environments = {env: load_environment(ROOT / "config", env) for env in ENVIRONMENTS}
    unused = [
        row
        for row in ACKNOWLEDGED
        if not any(row.covers(finding, environments[env]) for env, assembly in assemblies.items() for finding in assembly.findings)
    ]
    assert unused == []


def test_every_acknowledgement_has_a_reason_of_its_own() -> None:
    reasons = [row.reason for row in ACKNOWLEDGED]
    assert len(set(reasons)) == len(reasons)
    assert all(len(reason) > 40 and reason.endswith(".") for reason in reasons)


def test_nothing_is_in_the_default_security_group_of_a_network(assembly: Assembly) -> None:
    """What a resource in a VPC calls its security groups; one that leaves it out would get the default group."""
    names = {
        "AWS::EC2::VPCEndpoint": "SecurityGroupIds",
        "AWS::RDS::DBInstance": "VPCSecurityGroups",
        "AWS::Redshift::Cluster": "VpcSecurityGroupIds",
        "AWS::RedshiftServerless::Workgroup": "SecurityGroupIds",
    }
    for kind, name in names.items():
        for properties in assembly.properties(kind):
            if properties.get("VpcEndpointType") == "Gateway":
                continue
            assert properties.get(name), f"{kind} {properties}"
    for connection in assembly.properties("AWS::Glue::Connection"):
        assert connection["ConnectionInput"]["PhysicalConnectionRequirements"]["SecurityGroupIdList"]
    for application in assembly.properties("AWS::EMRServerless::Application"):
        assert "NetworkConfiguration" not in application or flat(application["NetworkConfiguration"]["SecurityGroupIds"])


def test_a_synth_judges_when_it_is_asked_to_and_passes(tmp_path: Path) -> None:
    result = run(ROOT, tmp_path, env="local", **{policy_packs.CONTEXT_KEY: "all"})
    assert result.returncode == 0, result.stderr  # 1 with a finding that nobody acknowledged
    report = tmp_path / "validation-report.json"
    assert not report.exists() or policy_packs.findings(json.loads(report.read_text())) == []


def test_a_synth_that_nobody_judges_explains_nothing_and_leaves_the_same_templates(tmp_path: Path, assemblies: dict[str, Assembly]) -> None:
    judged = assemblies["local"]
    plain = Assembly("local", synthesize("local", outdir=tmp_path))
    assert plain.templates == judged.templates
    assert (explained(judged), explained(plain)) == (True, False)


def explained(assembly: Assembly) -> bool:
    """Whether a construct of an assembly has explained a finding."""
    return any(Validations.ACKNOWLEDGED_RULES_METADATA_KEY in path.read_text() for path in assembly.folder.glob("*.metadata.json"))


@pytest.mark.parametrize(("value", "packs"), [(None, 0), ("all", 4), ("hipaa-security,pci-dss-3.2.1", 2)])
def test_packs_are_asked_for_by_name(value: object, packs: int) -> None:
    assert len(policy_packs.asked_for(value)) == packs


def test_a_pack_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidProps, match="there is no pack soc2: write all, or some of aws-solutions"):
        policy_packs.asked_for("soc2")
