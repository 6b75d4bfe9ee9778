"""The operator role grants what the verbs ask for, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.permissions import PERMISSIONS
from cli.session import ROOT
from lakehouse.environments.loading import load_environment
from stacks.synthesis import synthesize


def test_the_operator_role_grants_exactly_the_actions_of_the_verbs(tmp_path: Path) -> None:
    assembly = synthesize("dev", outdir=tmp_path, root=ROOT)
    granted: set[str] = set()
    for template in assembly.glob("*operations*.template.json"):
        resources: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))["Resources"]
        for name, resource in resources.items():
            if resource["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"} and name.startswith("Operator"):
                for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    granted |= {actions} if isinstance(actions, str) else set(actions)
    kind = load_environment(ROOT / "config", "dev").warehouse.kind
    others = [other for other in ("none", "serverless", "provisioned") if other != kind]
    left_out = {f"sql --engine redshift, {other}" for other in others} | (
        {"sql --engine redshift", "statements"} if kind == "none" else set()
    )
    left_out.add("costs of steps on EMR Serverless")  # no pipeline of the project has one; tests/e2e/test_engine_twins.py moves one there
    needed = [permission for permission in PERMISSIONS if permission.verb not in left_out]
    assert granted == {permission.action for permission in needed}
