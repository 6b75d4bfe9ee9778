"""What a cluster of EMR may be: instances, scaling, applications, configurations, monitoring; the rest is refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.aws.modelled_service import ServiceError

RELEASES = {"emr-spark-8.0.0": "4.0"}
"""Release labels that run here, with the series of their Spark: 8.0.0 is Spark 4.0.2 with Iceberg 1.10.1."""

APPLICATIONS = frozenset({"AmazonCloudWatchAgent", "Hadoop", "Spark"})
"""Applications that a cluster may have here."""

HONOURED = frozenset({"iceberg-defaults", "spark-defaults"})
"""Classifications that change something here."""

KEPT = frozenset(
    {"capacity-scheduler", "core-site", "emr-metrics", "hdfs-site", "spark", "spark-env", "spark-log4j2", "yarn-env", "yarn-site"}
)
"""Classifications of what one machine does not have; they are kept and shown."""

NOT_SERVED = (
    "AdditionalInfo", "AmiVersion", "AutoScalingRole", "CustomAmiId", "KerberosAttributes", "NewSupportedProducts", "OSReleaseLabel",
    "PlacementGroupConfigs", "RepoUpgradeOnBoot", "SessionEnabled", "StepExecutionRoleArn", "SupportedProducts",
)  # fmt: skip
"""Parameters of RunJobFlow that would silently do nothing here."""

IDLE_SECONDS = (60, 604_800)
"""Idle timeouts of an auto-termination policy."""

SPOT_MINUTES = (5, 1440)
"""Timeouts of a fleet's Spot provisioning."""

FLEET_TYPES = 30
"""Instance types of a fleet with an allocation strategy; without one, five."""

PLAIN_FLEET_TYPES = 5

CONCURRENT_STEPS = 256
"""Steps that a cluster may run at a time, or have waiting."""

UNITS = {"INSTANCE_FLEET": ("InstanceFleetUnits",), "INSTANCE_GROUP": ("Instances", "VCPU")}
"""How the limits of managed scaling are counted, by the kind of cluster."""

LOG_TYPES = {"STEP_LOGS", "SPARK_DRIVER", "SPARK_EXECUTOR"}

LOG_FILES = {"STDOUT", "STDERR"}


def invalid(message: str) -> ServiceError:
    """EMR's refusal of a request."""
    return ServiceError("ValidationException", message)


def check(params: Mapping[str, Any]) -> None:
    """Refuse a cluster that EMR would refuse, or that cannot be here.

    Args:
        params: RunJobFlow's input.

    Raises:
        ServiceError: With the setting.
    """
    given = [name for name in NOT_SERVED if params.get(name)]
    if given:
        raise invalid(f"{', '.join(given)} is not served by the laptop platform")
    label = params.get("ReleaseLabel") or ""
    if label not in RELEASES:
        served = ", ".join(f"{name} (Spark {series})" for name, series in RELEASES.items())
        raise invalid(f"The supplied release label is invalid: {label}. The laptop platform serves {served}")
    for name, what in (("ServiceRole", "ServiceRole"), ("JobFlowRole", "InstanceProfile")):
        if not params.get(name):
            raise invalid(f"{what} is required for creating cluster")
    address = params.get("LogUri") or "s3://"
    if not address.startswith("s3://"):
        raise invalid(f"LogUri must be an s3:// address, got {address}")
    steps = params.get("StepConcurrencyLevel") or 1
    if not 1 <= steps <= CONCURRENT_STEPS:
        raise invalid(f"StepConcurrencyLevel must be from 1 to {CONCURRENT_STEPS}, got {steps}")
    unknown = sorted({one.get("Name", "") for one in params.get("Applications") or ()} - APPLICATIONS)
    if unknown:
        raise invalid(
            f"The applications {', '.join(unknown)} are not served by the laptop platform; it serves {', '.join(sorted(APPLICATIONS))}"
        )
    for action in params.get("BootstrapActions") or ():
        path = (action.get("ScriptBootstrapAction") or {}).get("Path") or ""
        if not path.startswith("s3://"):
            raise invalid(f"The bootstrap action {action['Name']} must lie in S3 on the laptop platform, got {path!r}")
    instances = params.get("Instances") or {}
    kind = _instances(instances)
    scaling(params.get("ManagedScalingPolicy"), kind=kind)
    auto_termination(params.get("AutoTerminationPolicy"))
    configurations(params.get("Configurations") or (), "Configurations")
    _monitoring(params)


def collection(instances: Mapping[str, Any]) -> str:
    """Kind of a cluster's instances."""
    return "INSTANCE_FLEET" if instances.get("InstanceFleets") else "INSTANCE_GROUP"


def scaling(policy: Mapping[str, Any] | None, *, kind: str) -> None:
    """Refuse limits that EMR would refuse.

    Raises:
        ServiceError: With the limit.
    """
    limits = (policy or {}).get("ComputeLimits")
    if policy is not None and not limits:
        raise invalid("A managed scaling policy needs ComputeLimits")
    if not limits:
        return
    unit, least, most = limits["UnitType"], limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if unit not in UNITS[kind]:
        raise invalid(
            f"ComputeLimits.UnitType {unit} is not valid for a cluster of instance {'fleets' if kind == 'INSTANCE_FLEET' else 'groups'}: it is {' or '.join(UNITS[kind])}"
        )
    if not 1 <= least <= most:
        raise invalid(f"MinimumCapacityUnits must be from 1 to MaximumCapacityUnits ({most}), got {least}")
    for name in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        value = limits.get(name, most)
        if not (0 if "OnDemand" in name else 1) <= value <= most:
            raise invalid(f"{name} must not be more than MaximumCapacityUnits ({most}), got {value}")


def auto_termination(policy: Mapping[str, Any] | None) -> None:
    """Refuse an idle timeout that EMR would refuse.

    Raises:
        ServiceError: It is too short, or too long.
    """
    if policy is None:
        return
    least, most = IDLE_SECONDS
    value = policy.get("IdleTimeout")
    if value is None or not least <= value <= most:
        raise invalid(f"AutoTerminationPolicy.IdleTimeout must be from {least} to {most} seconds, got {value}")


def configurations(given: Iterable[Mapping[str, Any]], where: str) -> None:
    """Refuse classifications that would do something in EMR and nothing here.

    Raises:
        ServiceError: With the classification.
    """
    for one in given:
        name = one.get("Classification") or ""
        if name not in HONOURED | KEPT:
            raise invalid(
                f"{where}: the classification {name} is not served by the laptop platform; it serves {', '.join(sorted(HONOURED))}, and keeps "
                f"{', '.join(sorted(KEPT))}"
            )
        if name in HONOURED and one.get("Configurations"):
            raise invalid(f"{where}: the classification {name} has no configurations inside")


def properties(given: Iterable[Mapping[str, Any]], classification: str) -> dict[str, str]:
    """Properties of a classification."""
    found: dict[str, str] = {}
    for one in given:
        if one.get("Classification") == classification:
            found |= one.get("Properties") or {}
    return found


# ---- instances ------------------------------------------------------------------------------------------------------


def _instances(instances: Mapping[str, Any]) -> str:
    fleets, groups = instances.get("InstanceFleets") or (), instances.get("InstanceGroups") or ()
    simple = any(instances.get(name) for name in ("MasterInstanceType", "SlaveInstanceType", "InstanceCount"))
    if sum(map(bool, (fleets, groups, simple))) != 1:
        raise invalid(
            "Please configure instances using one and only one of the following: instance groups; instance fleets; "
            "instance count, master and slave instance type."
        )
    for name in ("HadoopVersion", "Placement"):
        if instances.get(name):
            raise invalid(f"Instances.{name} is not served by the laptop platform")
    if instances.get("Ec2SubnetId") and instances.get("Ec2SubnetIds"):
        raise invalid("Ec2SubnetId and Ec2SubnetIds cannot be given together")
    if len(instances.get("Ec2SubnetIds") or ()) > 1 and not fleets:
        raise invalid("More than one subnet (Ec2SubnetIds) needs instance fleets")
    if fleets:
        _fleets(fleets)
    elif groups:
        _groups(groups)
    elif not instances.get("MasterInstanceType"):
        raise invalid("MasterInstanceType is required")
    elif (instances.get("InstanceCount") or 1) > 1 and not instances.get("SlaveInstanceType"):
        raise invalid("SlaveInstanceType is required for more than one instance")
    return collection(instances)


def _fleets(fleets: Sequence[Mapping[str, Any]]) -> None:
    roles = Counter(fleet["InstanceFleetType"] for fleet in fleets)
    _roles(roles, "fleet")
    for fleet in fleets:
        name, kind = fleet.get("Name") or fleet["InstanceFleetType"], fleet["InstanceFleetType"]
        on_demand, spot = int(fleet.get("TargetOnDemandCapacity") or 0), int(fleet.get("TargetSpotCapacity") or 0)
        if kind == "MASTER" and sorted((on_demand, spot)) != [0, 1]:
            raise invalid(
                "The master instance fleet must have a target capacity of exactly one, on demand or Spot, "
                f"got TargetOnDemandCapacity {on_demand} and TargetSpotCapacity {spot}"
            )
        if on_demand + spot < 1:
            raise invalid(f"The instance fleet {name} needs a target capacity of at least one, on demand or Spot")
        _types(fleet, name, spot=spot)
    named = [fleet["Name"] for fleet in fleets if fleet.get("Name")]
    twice = [name for name, times in Counter(named).items() if times > 1]
    if twice:
        raise invalid(f"The instance fleet name {twice[0]} is used more than once")


def _types(fleet: Mapping[str, Any], name: str, *, spot: int) -> None:
    launch = fleet.get("LaunchSpecifications") or {}
    strategies = [(launch.get(kind) or {}).get("AllocationStrategy") for kind in ("SpotSpecification", "OnDemandSpecification")]
    most = FLEET_TYPES if any(strategies) else PLAIN_FLEET_TYPES
    types = fleet.get("InstanceTypeConfigs") or ()
    if not 1 <= len(types) <= most:
        raise invalid(f"The instance fleet {name} must have from 1 to {most} instance types, got {len(types)}")
    twice = [kind for kind, times in Counter(one["InstanceType"] for one in types).items() if times > 1]
    if twice:
        raise invalid(f"The instance type {twice[0]} is in the instance fleet {name} more than once")
    for one in types:
        where = f"{one['InstanceType']} of the instance fleet {name}"
        if one.get("CustomAmiId"):
            raise invalid(f"CustomAmiId of {where} is not served by the laptop platform")
        if one.get("BidPrice") and one.get("BidPriceAsPercentageOfOnDemandPrice"):
            raise invalid(f"{where}: BidPrice and BidPriceAsPercentageOfOnDemandPrice cannot be given together")
        if int(one.get("WeightedCapacity", 1)) < (0 if fleet["InstanceFleetType"] == "MASTER" else 1):
            raise invalid(f"{where}: WeightedCapacity must be at least 1")
        configurations(one.get("Configurations") or (), where)
    specification = launch.get("SpotSpecification")
    if specification:
        minutes, (least, longest) = specification["TimeoutDurationMinutes"], SPOT_MINUTES
        if not least <= minutes <= longest:
            raise invalid(f"TimeoutDurationMinutes of the instance fleet {name} must be from {least} to {longest}, got {minutes}")
        if specification.get("BlockDurationMinutes"):
            raise invalid("BlockDurationMinutes is not served: EC2 has no Spot blocks any more")
        if not spot and fleet["InstanceFleetType"] == "MASTER":
            raise invalid(f"The instance fleet {name} has a SpotSpecification and no TargetSpotCapacity")


def _groups(groups: Sequence[Mapping[str, Any]]) -> None:
    roles = Counter(group["InstanceRole"] for group in groups)
    _roles({**roles, "TASK": min(roles["TASK"], 1)}, "group")  # of task groups there may be many
    for group in groups:
        name = group.get("Name") or group["InstanceRole"]
        if group["InstanceCount"] < 1 or (group["InstanceRole"] == "MASTER" and group["InstanceCount"] not in {1, 3}):
            raise invalid(f"InstanceCount of the instance group {name} is not valid: {group['InstanceCount']}")
        for setting in ("AutoScalingPolicy", "CustomAmiId"):
            if group.get(setting):
                raise invalid(f"{setting} of the instance group {name} is not served by the laptop platform")
        configurations(group.get("Configurations") or (), f"instance group {name}")


def _roles(given: Mapping[str, int], what: str) -> None:
    roles = Counter(given)
    if roles["MASTER"] != 1:
        raise invalid(f"A cluster has exactly one master instance {what}, got {roles['MASTER']}")
    for role in ("CORE", "TASK"):
        if roles[role] > 1:
            raise invalid(f"A cluster has at most one {role.lower()} instance {what}, got {roles[role]}")
    if roles["TASK"] and not roles["CORE"]:
        raise invalid(f"A task instance {what} needs a core instance {what}")


# ---- monitoring -----------------------------------------------------------------------------------------------------


def _monitoring(params: Mapping[str, Any]) -> None:
    monitoring = params.get("MonitoringConfiguration") or {}
    unknown = sorted(set(monitoring) - {"CloudWatchLogConfiguration"})
    if unknown:
        raise invalid(f"MonitoringConfiguration.{unknown[0]} is not served by the laptop platform")
    logs = monitoring.get("CloudWatchLogConfiguration") or {}
    if not logs.get("Enabled"):
        return
    if "AmazonCloudWatchAgent" not in {one.get("Name") for one in params.get("Applications") or ()}:
        raise invalid("CloudWatch logging needs the application AmazonCloudWatchAgent")
    for name, files in (logs.get("LogTypes") or {}).items():
        if name not in LOG_TYPES or set(files) - LOG_FILES:
            raise invalid(f"LogTypes must name {', '.join(sorted(LOG_TYPES))} with {' and '.join(sorted(LOG_FILES))}, got {name}: {files}")
