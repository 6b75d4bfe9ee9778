"""What pipeline specs may not do to each other: write one table twice, wait for nobody, go round in circles."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.errors import Fault
from lakehouse.naming import DatasetName
from lakehouse.pipelines.spec import After, PipelineSpec


def check_writers(specs: list[tuple[Document, PipelineSpec]], faults: list[Fault]) -> None:
    """A table has one writer."""
    writers: dict[DatasetName, tuple[Document, int]] = {}
    for document, spec in specs:
        for index, step in enumerate(spec.steps):
            place: Place = ("steps", index, "writes")
            if step.writes in writers:
                other, line = writers[step.writes]
                faults.append(
                    document.fault(
                        place,
                        f"{step.writes} is also written at {other.file}:{line}",
                        "let one step write a table; merge the two, or write another dataset",
                    )
                )
            else:
                writers[step.writes] = (document, document.line(place))
    loaders: dict[DatasetName, tuple[Document, int]] = {}
    for document, spec in specs:
        for index, load in enumerate(spec.loads, len(spec.steps)):
            place = ("steps", index, "reads")
            if load.reads in loaders:
                other, line = loaders[load.reads]
                document_fault = document.fault(
                    place, f"{load.reads} is also loaded at {other.file}:{line}", "let one step load a table: remove one of the two"
                )
                faults.append(document_fault)
            else:
                loaders[load.reads] = (document, document.line(place))


def check_after(specs: list[tuple[Document, PipelineSpec]], names: set[str], faults: list[Fault]) -> None:
    """`after` names pipelines that exist, and no pipeline waits for itself."""
    graph = {spec.name: spec.trigger.pipelines for _, spec in specs if isinstance(spec.trigger, After)}
    for document, spec in specs:
        if not isinstance(spec.trigger, After):
            continue
        for index, name in enumerate(spec.trigger.pipelines):
            if name not in names:
                faults.append(
                    document.fault(("trigger", "after", index), f"there is no pipeline {name!r}", nearest(name, names - {spec.name}))
                )
        cycle = _cycle_from(spec.name, graph)
        if cycle:
            faults.append(
                document.fault(("trigger", "after"), f"the pipeline starts itself: {' after '.join(cycle)}", "remove one of these names")
            )


def _cycle_from(start: str, graph: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Shortest way from a pipeline back to itself, or nothing."""
    frontier: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while frontier:
        path = frontier.pop(0)
        for name in graph.get(path[-1], ()):
            if name == start:
                return (*path, start)
            if name not in seen:
                seen.add(name)
                frontier.append((*path, name))
    return ()
