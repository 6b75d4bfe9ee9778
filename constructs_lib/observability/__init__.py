"""Who is told, of what, and who may look."""

from constructs_lib.observability.alert_topics import AlertTopicNames, AlertTopics
from constructs_lib.observability.function_alarms import FunctionAlarms
from constructs_lib.observability.operator_role import OperatorRole
from constructs_lib.observability.pipeline_alarms import PipelineAlarms
from constructs_lib.observability.workgroup_alarms import WorkgroupAlarms

__all__ = ["AlertTopicNames", "AlertTopics", "FunctionAlarms", "OperatorRole", "PipelineAlarms", "WorkgroupAlarms"]
