"""The topics that alerts go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn, topic_arn
from constructs_lib.checks import require, require_one_of
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from constructs_lib.security.data_keys import USE
from lakehouse.naming import Names

SEVERITIES = ("critical", "warning")
"""`critical` wakes somebody, `warning` waits for the morning."""


@dataclass(frozen=True, kw_only=True)
class AlertTopicNames:
    """Topics of alerts by name, for a stack that did not make them.

    Attributes:
        names: Name of each topic.
        key_arn: ARN of the key that encrypts them.
    """

    names: dict[str, str]
    key_arn: str

    @classmethod
    def from_names(cls, names: Names, *, key_arn: str) -> AlertTopicNames:
        """Topics as the names module spells them."""
        return cls(names={severity: names.topic(severity) for severity in SEVERITIES}, key_arn=key_arn)

    def arn(self, severity: str) -> str:
        """ARN of a topic."""
        require_one_of(severity, self.names, name="severity")
        return topic_arn(self.names[severity])

    @property
    def grants(self) -> AlertTopicsGrants:
        """Permissions on the topics."""
        return AlertTopicsGrants(self)


class AlertTopics(Construct):
    """Encrypted topics of alerts that only this account's alarms and roles publish to, over TLS.

    Attributes:
        topics: Each topic by severity.
        by_name: The same as plain names, as grants take them.
        grants: Permissions on the topics.
    """

    def __init__(self, scope: Construct, id: str, *, names: Names, key: kms.IKey, emails: Sequence[str] = ()) -> None:
        """
        Args:
            names: Names of the environment; topics are `<prefix>-<severity>`.
            key: Customer key; its policy must let CloudWatch alarms use it.
            emails: Addresses that receive all alerts; each has to confirm for each topic.
        """
        super().__init__(scope, id)
        for email in emails:
            require("@" in email, f"{email!r} is not an e-mail address")
        self.by_name = AlertTopicNames.from_names(names, key_arn=key.key_arn)
        self.topics: dict[str, sns.Topic] = {}
        for severity in SEVERITIES:
            topic = sns.Topic(self, severity.capitalize(), topic_name=self.by_name.names[severity], master_key=key, enforce_ssl=True)
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="AlarmsPublish",
                    principals=[service_principal("cloudwatch.amazonaws.com")],
                    actions=["sns:Publish"],
                    resources=[self.by_name.arn(severity)],
                    conditions=service_principal_conditions(account=ACCOUNT, source_arn=arn("cloudwatch", f"alarm:{names.prefix}-*")),
                )
            )
            self.topics[severity] = topic
            for position, email in enumerate(emails):
                sns.CfnSubscription(
                    self, f"{severity.capitalize()}Email{position}", topic_arn=self.by_name.arn(severity), protocol="email", endpoint=email
                )
        self.grants = self.by_name.grants


class AlertTopicsGrants:
    """Permissions on the topics of alerts; the key is included."""

    def __init__(self, topics: AlertTopicNames) -> None:
        self._topics = topics

    def publish(self, grantee: iam.IGrantable, severity: str) -> iam.Grant:
        """Let it publish to one topic."""
        allow(grantee, actions=USE, resources=[self._topics.key_arn])
        return allow(grantee, actions=["sns:Publish"], resources=[self._topics.arn(severity)])
