"""Code of Spark jobs as assets: a script and one zip of everything it imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from constructs_lib.arns import ACCOUNT, REGION, bucket_arn
from constructs_lib.checks import require
from constructs_lib.packaging import file_hash, job_bundle, job_script, write_file
from constructs_lib.permissions import allow

VERSIONS = "Code lies under the hash of its content; naming one version would break runs that are under way when the next is deployed."
"""Why permissions on code end in a star."""

_ID = "JobCode"


@dataclass(frozen=True, kw_only=True)
class JobCode:
    """Where the code of a job comes from.

    Attributes:
        script: Entry point, a Python file.
        bundle: Zip file put on the Python path.
        bundle_hash: SHA-256 of what the bundle holds.
    """

    script: Path
    bundle: Path
    bundle_hash: str

    @classmethod
    def from_platform(cls, job: str) -> JobCode:
        """One of the platform's own jobs: `ingest`, `refine` or `publish`.

        Raises:
            InvalidProps: There is no such job.
        """
        bundle = job_bundle()
        return cls(script=job_script(job), bundle=bundle.path, bundle_hash=bundle.content_hash)

    @classmethod
    def from_script(cls, script: str | Path) -> JobCode:
        """A script of your own, which may import the platform's library.

        Raises:
            InvalidProps: There is no such file.
        """
        path = Path(script)
        require(path.is_file() and path.suffix == ".py", f"{script} is not a Python file: give the path of the job's entry point")
        bundle = job_bundle()
        return cls(script=path, bundle=bundle.path, bundle_hash=bundle.content_hash)


class CodeAssets(Construct):
    """Files that the jobs of a stack need in S3, each under the hash of its content and staged once.

    Old versions stay where they are, so a stack that is rolled back finds the code that its template names.

    Attributes:
        grants: Permissions on the files.
    """

    @classmethod
    def of(cls, scope: Construct) -> CodeAssets:
        """The one of the stack that a construct belongs to."""
        stack = Stack.of(scope)
        existing = stack.node.try_find_child(_ID)
        return existing if isinstance(existing, cls) else cls(stack, _ID)

    def __init__(self, scope: Construct, id: str) -> None:
        """Start with no file; `of` is the way to get one."""
        super().__init__(scope, id)
        self._addresses: dict[str, str] = {}
        self.folder: str | None = None
        self.grants = CodeAssetsGrants(self)

    def file(self, path: Path, digest: str | None = None) -> str:
        """`s3://` address that a file has after deployment.

        Args:
            path: The file.
            digest: SHA-256 of what it means; None takes that of its bytes.
        """
        key = digest if digest is not None else file_hash(path)
        address = self._addresses.get(key)
        if address is None:
            asset = assets.Asset(self, f"File{key[:16]}", path=str(path), asset_hash=key)
            bucket = asset.s3_bucket_name
            object_key = asset.s3_object_key
            if self.folder is None:
                self.folder = _folder(Stack.of(self), bucket, object_key)
            address = f"s3://{bucket}/{object_key}"
            self._addresses[key] = address
        return address

    def text(self, name: str, content: str) -> str:
        """`s3://` address that a generated text has after deployment."""
        written = write_file(name, content)
        return self.file(written.path, written.content_hash)


class CodeAssetsGrants:
    """Permissions on the code of a stack's jobs."""

    def __init__(self, code: CodeAssets) -> None:
        self._code = code

    def read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read the code of this environment, any version of it."""
        require(self._code.folder is not None, "there is no code yet: add the job's files before you grant them")
        return allow(grantee, actions=["s3:GetObject"], resources=[f"{self._code.folder}*"], because=VERSIONS)


def _folder(stack: Stack, bucket: str, object_key: str) -> str:
    """ARN of the folder of an asset; what the CDK gives as opaque tokens is spelled out, so that checkers can name it."""
    name: Any = stack.resolve(bucket)
    if isinstance(name, dict):
        name = str(cast("dict[str, Any]", name)["Fn::Sub"]).replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)
    folder, _, _ = str(stack.resolve(object_key)).rpartition("/")
    return f"{bucket_arn(name)}/{folder}/" if folder else f"{bucket_arn(name)}/"
