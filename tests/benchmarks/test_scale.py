"""Projects of many pipelines, and what the peer of the synth calls their resources."""

from __future__ import annotations

from pathlib import Path

from benchmarks.logical_ids import as_peer
from benchmarks.scale import PIPELINES_OF_A_DOMAIN, project_of
from stacks.project import Project
from stacks.synthesis import ROOT, synthesize


def test_a_project_of_many_pipelines_spreads_over_its_domains(tmp_path: Path) -> None:
    folder = project_of(ROOT, tmp_path / "project", PIPELINES_OF_A_DOMAIN + 1)
    project = Project.load(folder)
    assert len(project.pipelines) == len(project.contracts) == PIPELINES_OF_A_DOMAIN + 1
    assert {contract.domain for contract in project.contracts.values()} == {"domain_0", "domain_1"}
    out = synthesize("prod", outdir=tmp_path / "out", root=folder)
    assert {"catalog-domain-0", "catalog-domain-1", "pipelines-domain-0", "pipelines-domain-1"} <= {
        path.name.removesuffix(".template.json") for path in out.glob("*.template.json")
    }


def test_references_follow_a_resource_to_its_id_in_the_peer() -> None:
    given = {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "Queue"}},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "DependsOn": ["Queue"],
            "Properties": {"Queues": [{"Ref": "Queue"}], "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}, "Account": {"Ref": "AWS::AccountId"}},
        },
    }
    renamed = as_peer(given)
    (queue,) = set(renamed) - {"Policy"}
    assert queue.startswith("Queue")
    assert queue != "Queue"
    assert renamed[queue]["Properties"] == {"QueueName": "Queue"}
    assert renamed["Policy"]["DependsOn"] == [queue]
    assert renamed["Policy"]["Properties"] == {
        "Queues": [{"Ref": queue}],
        "Arn": {"Fn::GetAtt": [queue, "Arn"]},
        "Account": {"Ref": "AWS::AccountId"},
    }
