"""Who reads a folder of the lake from another account."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from constructs_lib.arns import REGION, URL_SUFFIX
from constructs_lib.checks import require, require_one_of

SHARED_ZONES = ("raw", "bronze", "silver", "gold")
"""Zones that are read from outside; rows with faults, logs and results of queries are nobody else's."""

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+")


@dataclass(frozen=True, kw_only=True)
class OutsideReader:
    """A role or user of another account that may read what lies in a folder of a zone, and list it.

    It reads files: masks, filters of rows and grants of a catalog do not reach it. Its own account has to allow it the same, in a policy of its own.

    Attributes:
        arn: ARN of the role or user; it must be there when this is deployed.
        zone: Zone.
        folder: Folder of the zone, up to and with a slash.
    """

    arn: str
    zone: str
    folder: str

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: It is nobody in particular, or reads no folder of a zone.
        """
        require(
            _PRINCIPAL.fullmatch(self.arn) is not None,
            f"arn must be that of one role or user, such as arn:aws:iam::111122223333:role/reader, got {self.arn!r}: a whole account, or everybody, "
            "is more than a reader",
        )
        require_one_of(self.zone, SHARED_ZONES, name="zone")
        require(
            self.folder.endswith("/") and bool(self.folder.strip("/")) and not {"*", "?"} & set(self.folder),
            f"folder must be a folder of the zone, with a slash at its end, such as sales/orders/, got {self.folder!r}",
        )

    def admit(self, bucket: s3.IBucket, key: kms.IKey, *, bucket_arn: str) -> None:
        """Let it in, by the policies of a bucket and its key.

        Args:
            bucket: Bucket of the zone.
            key: Its key.
            bucket_arn: ARN of the bucket.

        Raises:
            InvalidProps: The key is only named in this app, which cannot change its policy.
        """
        who = cast("iam.IPrincipal", iam.ArnPrincipal(self.arn))  # the CDK's stubs do not fit each other, see permissions.service_principal
        bucket.add_to_resource_policy(
            iam.PolicyStatement(principals=[who], actions=["s3:GetObject"], resources=[f"{bucket_arn}/{self.folder}*"])
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[who],
                actions=["s3:ListBucket"],
                resources=[bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{self.folder}*"}},
            )
        )
        # With a bucket key S3 binds the key of every object to the bucket: there is no smaller part to name.
        conditions = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.{URL_SUFFIX}", "kms:EncryptionContext:aws:s3:arn": bucket_arn}}
        result = key.add_to_resource_policy(
            iam.PolicyStatement(principals=[who], actions=["kms:Decrypt"], resources=["*"], conditions=conditions)
        )
        require(
            result.statement_added,
            f"{self.arn} cannot be let in: the key is only named in this app, which cannot change its policy. Have whoever owns it allow kms:Decrypt, "
            "or give the lake a key that this app makes",
        )
