"""What encrypts the things that Glue jobs leave behind."""

from __future__ import annotations

import hashlib
import json

from aws_cdk import Fn
from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from constructs import Construct


class SecurityConfiguration(Construct):
    """Glue security configuration: files under the data key, bookmarks and data quality results too.

    Glue cannot change a security configuration, and CloudFormation cannot replace one that keeps its name, so the name follows the content: the modes by
    their hash, the key by its id.

    Job logs are encrypted by their own log groups. Switching encryption on here as well would move them to groups that Glue names by role and
    configuration, with no retention and no way to make them beforehand.

    Attributes:
        name: Its name.
    """

    def __init__(self, scope: Construct, id: str, *, name_prefix: str, key: kms.IKey) -> None:
        """
        Args:
            name_prefix: First part of the name.
            key: Customer key of the data.
        """
        super().__init__(scope, id)
        key_arn = key.key_arn
        modes = {
            "cloudWatchEncryption": {"cloudWatchEncryptionMode": "DISABLED"},
            "jobBookmarksEncryption": {"jobBookmarksEncryptionMode": "CSE-KMS", "kmsKeyArn": key_arn},
            "s3Encryptions": [{"s3EncryptionMode": "SSE-KMS", "kmsKeyArn": key_arn}],
        }
        digest = hashlib.sha256(json.dumps(modes, sort_keys=True).replace(key_arn, "KEY").encode()).hexdigest()[:8]
        key_id = Fn.select(1, Fn.split("key/", key_arn))
        self.resource = glue.CfnSecurityConfiguration(
            self, "Resource", name=f"{name_prefix}-{digest}-{key_id}", encryption_configuration=modes
        )
        self.name = self.resource.ref
