"""Pipeline specs: their grammar, loader and typed form; authoring time only, never deployed."""

from lakehouse.pipelines.loader import load_pipelines
from lakehouse.pipelines.spec import After, Arrival, PipelineSpec, Step, Trigger

__all__ = ["After", "Arrival", "PipelineSpec", "Step", "Trigger", "load_pipelines"]
