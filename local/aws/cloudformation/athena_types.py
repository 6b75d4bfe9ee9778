"""Resource types of Athena that MiniStack's CloudFormation lacks."""

from __future__ import annotations

from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import ModelledType


def register() -> None:
    """Make the types known to CloudFormation."""
    modelled.add(
        ModelledType(
            resource_type="AWS::Athena::NamedQuery",
            service="athena",
            create="CreateNamedQuery",
            read="GetNamedQuery",
            delete="DeleteNamedQuery",
            record=lambda answer: answer["NamedQuery"],
            automatic_name="Name",
            longest_name=128,
        )
    )
