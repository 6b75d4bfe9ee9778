"""Resource types of Athena, and the external tables that it reads, which MiniStack's CloudFormation lacks."""

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
    modelled.add(
        ModelledType(
            resource_type="AWS::Athena::PreparedStatement",
            service="athena",
            create="CreatePreparedStatement",
            read="GetPreparedStatement",
            update="UpdatePreparedStatement",
            delete="DeletePreparedStatement",
            record=lambda answer: {**answer["PreparedStatement"], "WorkGroup": answer["PreparedStatement"]["WorkGroupName"]},
        )
    )
    modelled.add(
        ModelledType(
            resource_type="AWS::Glue::Table",
            service="glue",
            create="CreateTable",
            read="GetTable",
            update="UpdateTable",
            delete="DeleteTable",
            record=lambda answer: answer["Table"],
            identify=lambda properties, _: str(properties["TableInput"]["Name"]),
            key=lambda physical_id, properties: {"DatabaseName": properties["DatabaseName"], "Name": physical_id},
            change=lambda _, before, after: {"DatabaseName": before["DatabaseName"], "TableInput": after["TableInput"]},
            left_out={
                "OpenTableFormatInput": "Iceberg tables are made by the custom resource of this platform",
                "Name": "the name stands in TableInput",
            },
        )
    )
    modelled.add(
        ModelledType(
            resource_type="AWS::Athena::DataCatalog",
            service="athena",
            create="CreateDataCatalog",
            read="GetDataCatalog",
            update="UpdateDataCatalog",
            delete="DeleteDataCatalog",
            record=lambda answer: answer["DataCatalog"],
            left_out=dict.fromkeys(("ConnectionType", "Error", "Status"), "Athena says it of federated catalogs that it makes itself"),
        )
    )
