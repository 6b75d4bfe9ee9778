"""Code of Spark jobs as assets: a script and one zip of everything it imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from constructs_lib.arns import ACCOUNT, REGION, bucket_arn
from constructs_lib.checks import require
from constructs_lib.packaging import CodeBundle, file_hash, job_bundle, job_packages, job_script, write_file
from constructs_lib.permissions import allow

VERSIONS = "Code lies under the hash of its content; naming one version would break runs that are under way when the next is deployed."
"""Why permissions on code end in a star."""

_ID = "Lakehouse::JobCode"
"""Id of the code in its stack; nobody calls a construct of their own so by chance."""


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

    @property
    def packages(self) -> CodeBundle:
        """Third-party packages that the platform's library needs, for engines whose Python lacks them."""
        return job_packages()

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
        folder: ARN of the folder that holds the code of this environment and nothing else; None if there is none.
        grants: Permissions on the files.
    """

    @classmethod
    def of(cls, scope: Construct) -> CodeAssets:
        """The one of the stack that a construct belongs to."""
        known = _OF_SCOPE.get(scope)
        if known is not None:
            return known
        stack = Stack.of(scope)
        existing = _OF_SCOPE.get(stack)
        if existing is None:
            require(
                stack.node.try_find_child(_ID) is None, f"the id {_ID!r} belongs to the code of jobs: give your own construct another id"
            )
            existing = _OF_SCOPE[stack] = cls(stack, _ID)
        _OF_SCOPE[scope] = existing
        return existing

    def __init__(self, scope: Construct, id: str) -> None:
        """Start with no file; `of` is the way to get one."""
        super().__init__(scope, id)
        self._addresses: dict[str, str] = {}
        self._arns: dict[str, str] = {}
        self._bucket: str | None = None
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
            asset = assets.Asset(self, f"File{key[:16]}", path=str(path.resolve()), asset_hash=key)
            object_key = asset.s3_object_key
            if self._bucket is None:  # the files of a stack lie in one bucket
                self._bucket = asset.s3_bucket_name
                self.folder = _folder(Stack.of(self), self._bucket, object_key)
            address = f"s3://{self._bucket}/{object_key}"
            self._addresses[key] = address
            self._arns[address] = f"{bucket_arn(self._bucket)}/{object_key}"
        return address

    def text(self, name: str, content: str) -> str:
        """`s3://` address that a generated text has after deployment."""
        written = write_file(name, content)
        return self.file(written.path, written.content_hash)

    def arn(self, address: str) -> str:
        """ARN of a file by its address.

        Raises:
            InvalidProps: The stack has no such file.
        """
        require(address in self._arns, f"{address} is no code of this stack: take the address from CodeAssets.of(...).file or .text")
        return self._arns[address]


_OF_SCOPE: WeakKeyDictionary[Construct, CodeAssets] = WeakKeyDictionary()
"""The code of each stack, and of what asked for it in that stack."""


class CodeAssetsGrants:
    """Permissions on the code of a stack's jobs."""

    def __init__(self, code: CodeAssets) -> None:
        self._code = code

    def read(self, grantee: iam.IGrantable, addresses: Sequence[str]) -> iam.Grant:
        """Let it read files of code: any version if the environment has a folder of its own, otherwise these, as the bucket is everybody's.

        Args:
            grantee: Who receives the permission.
            addresses: The files, as `file` and `text` gave them.
        """
        files = [self._code.arn(address) for address in addresses]
        if self._code.folder is None:
            return allow(grantee, actions=["s3:GetObject"], resources=files)
        return allow(grantee, actions=["s3:GetObject"], resources=[f"{self._code.folder}*"], because=VERSIONS)


def _folder(stack: Stack, bucket: str, object_key: str) -> str | None:
    """ARN of the folder of an asset, if the stack's synthesizer has one; what the CDK gives as opaque tokens is spelled out, so that checkers can name it."""
    key: Any = stack.resolve(object_key)
    folder = key.rpartition("/")[0] if isinstance(key, str) else ""
    if not folder:
        return None
    name: Any = stack.resolve(bucket)
    pattern = cast("dict[str, Any]", name).get("Fn::Sub") if isinstance(name, dict) else name
    if isinstance(pattern, str):
        bucket = pattern.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)
    return f"{bucket_arn(bucket)}/{folder}/"
