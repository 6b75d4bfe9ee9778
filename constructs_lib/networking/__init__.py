"""The network that jobs, databases and warehouses live in."""

from constructs_lib.networking.endpoints import InterfaceEndpoint
from constructs_lib.networking.network import ExistingVpc, Network, NewVpc
from constructs_lib.networking.reference import NetworkReference

__all__ = ["ExistingVpc", "InterfaceEndpoint", "Network", "NetworkReference", "NewVpc"]
