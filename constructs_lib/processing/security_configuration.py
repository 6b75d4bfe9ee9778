"""What encrypts the things that Glue jobs leave behind."""

from __future__ import annotations

import hashlib
import json

from aws_cdk import Fn
from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import key_arn


class SecurityConfiguration(Construct):
    """Glue security configuration: files under the data key, bookmarks and data quality results too.

    Glue cannot change a security configuration, and CloudFormation cannot replace one that keeps its name, so the name follows the content: the modes by
    their hash, the key by its id. The construct's place in the app is hashed as well, so that two of one content stand side by side.

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
        arn = key_arn(key)
        modes = {
            "cloudWatchEncryption": {"cloudWatchEncryptionMode": "DISABLED"},
            "jobBookmarksEncryption": {"jobBookmarksEncryptionMode": "CSE-KMS", "kmsKeyArn": arn},
            "s3Encryptions": [{"s3EncryptionMode": "SSE-KMS", "kmsKeyArn": arn}],
        }
        content = json.dumps([self.node.path, modes], sort_keys=True).replace(arn, "KEY")
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        key_id = Fn.select(1, Fn.split("key/", arn))
        self.resource = glue.CfnSecurityConfiguration(
            self, "Resource", name=f"{name_prefix}-{digest}-{key_id}", encryption_configuration=modes
        )
        self.name = self.resource.ref
