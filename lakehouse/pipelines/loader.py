"""Pipeline specs: read, checked against the contracts and against each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lakehouse.contracts.compiler.documents import Document, Place, nearest, read_document, relative
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.naming import DatasetName
from lakehouse.pipelines import grammar
from lakehouse.pipelines.spec import After, Arrival, Engine, Job, Load, PipelineSpec, Schedule, Step, Trigger, Warehouse
from lakehouse.schedules import UTC, InvalidScheduleError, check_schedule, check_time_zone
from lakehouse.warehouse.tables import table_of
from lakehouse.warehouse.text import SqlRefused

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DATASET = re.compile(r"bronze\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_TRANSFORM = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_WORDS: Mapping[type, str] = {str: "text", int: "a whole number", list: "a list", dict: "a mapping"}


def load_pipelines(folder: Path, contracts: Mapping[str, CompiledContract], *, root: Path | None = None) -> tuple[PipelineSpec, ...]:
    """Load every pipeline spec of a folder.

    Args:
        folder: Folder with `<pipeline>.yaml`.
        contracts: Compiled contracts by id.
        root: Folder that paths in errors are relative to; the parent of `folder` by default.

    Returns:
        The pipelines, sorted by name.

    Raises:
        ConfigurationError: Specs have faults; it names all of them.
    """
    root = folder.parent if root is None else root
    faults: list[Fault] = []
    specs: list[tuple[Document, PipelineSpec]] = []
    names: set[str] = set()
    if not folder.is_dir():
        faults.append(
            Fault(
                file=relative(folder, root),
                line=0,
                place="(folder)",
                problem="does not exist",
                fix="put pipeline specs into <pipeline>.yaml",
            )
        )
    for path in sorted(folder.glob("*")):
        if path.suffix == ".yml":
            faults.append(
                Fault(file=relative(path, root), line=0, place="(file)", problem="would not be read", fix=f"name it {path.stem}.yaml")
            )
        if path.suffix != ".yaml":
            continue
        names.add(path.stem)
        document = read_document(path, root=root, faults=faults)
        if document is not None:
            spec = _Spec(document=document, stem=path.stem, contracts=contracts, faults=faults).read()
            if spec is not None:
                specs.append((document, spec))
    _check_writers(specs, faults)
    _check_after(specs, names, faults)
    if faults:
        raise ConfigurationError(faults)
    return tuple(spec for _, spec in specs)


@dataclass(kw_only=True)
class _Spec:
    """A pipeline spec while it is read."""

    document: Document
    stem: str
    contracts: Mapping[str, CompiledContract]
    faults: list[Fault]

    def read(self) -> PipelineSpec | None:
        """The spec, or None if it has faults."""
        count = len(self.faults)
        value = self._checked(self.document.value, grammar.PIPELINE_KEYS, ())
        if value.get("version", grammar.VERSION) != grammar.VERSION:
            self._fault(
                ("version",), f"{value['version']} is not a version of the grammar", f"write version: {grammar.VERSION}, or leave it out"
            )
        name = value.get("pipeline")
        if name is not None:
            if name != self.stem:
                self._fault(("pipeline",), f"{name!r} is not the name of the file", f"write pipeline: {self.stem}, or rename the file")
            if not _NAME.fullmatch(name) or len(name) > grammar.MAX_NAME:
                self._fault(
                    ("pipeline",),
                    f"{name!r} is not a name",
                    f"use up to {grammar.MAX_NAME} lower-case letters, digits and underscores, a letter first",
                )
        timeout = value.get("timeout_minutes", grammar.DEFAULT_TIMEOUT_MINUTES)
        if not 1 <= timeout <= grammar.MAX_TIMEOUT_MINUTES:
            self._fault(("timeout_minutes",), f"{timeout} is out of bounds", f"write 1 to {grammar.MAX_TIMEOUT_MINUTES}")
        trigger = self._trigger(value["trigger"]) if "trigger" in value else None
        steps, loads = self._steps(value.get("steps"), trigger)
        if len(self.faults) > count or trigger is None:
            return None
        return PipelineSpec(
            name=str(name),
            owner=value["owner"],
            description=value.get("description", ""),
            trigger=trigger,
            timeout_minutes=timeout,
            steps=steps,
            loads=loads,
        )

    def _fault(self, place: Place, problem: str, fix: str) -> None:
        self.faults.append(self.document.fault(place, problem, fix))

    def _checked(
        self, value: Mapping[str, Any], keys: tuple[grammar.Key, ...], place: Place, not_yet: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What is well-formed of a mapping; everything else becomes a fault."""
        known = {key.name: key for key in keys}
        good: dict[str, Any] = {}
        for word, given in value.items():
            key = known.get(word)
            if key is None:
                if not_yet and word in not_yet:
                    self._fault((*place, word), f"{word} cannot be applied yet", not_yet[word])
                else:
                    self._fault((*place, word), f"there is no key {word!r}", nearest(word, known))
            elif not isinstance(given, key.type) or isinstance(given, bool):
                self._fault((*place, word), f"{given!r} is not {_WORDS[key.type]}", f"write {word}: {key.form}")
            elif not given and key.type in (str, list):
                self._fault((*place, word), "is empty", f"write {word}: {key.form}")
            else:
                good[word] = given
        for key in keys:
            if key.required and key.name not in value:
                self._fault(place, f"{key.name} is missing", f"add {key.name}: {key.form}")
        return good

    def _trigger(self, value: Mapping[str, Any]) -> Trigger | None:
        place: Place = ("trigger",)
        given = self._checked(value, grammar.TRIGGER_KEYS, place, grammar.NOT_YET["trigger"])
        words = [word for word in value if word != "time_zone"]
        if len(words) != 1:
            self._fault(
                place,
                f"has {len(words)} keys",
                f"write exactly one: {{arrival: sales.orders}}, {{after: [orders]}} or {{schedule: {grammar.EXAMPLE}}}",
            )
        if "time_zone" in value and "schedule" not in value:
            self._fault((*place, "time_zone"), "there is no schedule that it would be the zone of", "remove it, or add schedule:")
        if "arrival" in given:
            return self._arrival(given["arrival"], (*place, "arrival"))
        if "after" in given:
            names: list[str] = []
            for index, name in enumerate(given["after"]):
                if not isinstance(name, str):
                    self._fault((*place, "after", index), f"{name!r} is not the name of a pipeline", "write names of pipelines")
                elif name in names:
                    self._fault((*place, "after", index), f"{name!r} stands twice", "keep it once")
                else:
                    names.append(name)
            return After(pipelines=tuple(names))
        if "schedule" in given:
            return self._schedule(given, place)
        return None

    def _arrival(self, dataset: str, place: Place) -> Arrival:
        contract = self.contracts.get(dataset)
        if contract is None:
            self._fault(place, f"there is no deployed contract {dataset!r}", nearest(dataset, self._ids(with_source=True)))
        elif contract.source is None:
            self._fault(
                place,
                f"no files feed {dataset}",
                f"add an s3 server to its contract, or use one of: {', '.join(self._ids(with_source=True))}",
            )
        elif contract.database is not None:
            self._fault(
                place,
                f"no files feed {dataset}: it is read from the database connection {contract.database.connection}",
                f"write {{schedule: {grammar.EXAMPLE}}}",
            )
        elif contract.status == "retired":
            self._fault(place, f"{dataset} is retired", "remove the pipeline, or set the contract's status to active")
        return Arrival(dataset=dataset)

    def _schedule(self, given: Mapping[str, Any], place: Place) -> Schedule:
        schedule = Schedule(expression=given["schedule"], time_zone=given.get("time_zone", UTC))
        for key, check, text in (("schedule", check_schedule, schedule.expression), ("time_zone", check_time_zone, schedule.time_zone)):
            try:
                check(text)
            except InvalidScheduleError as error:
                self._fault((*place, key), error.problem, error.fix)
        return schedule

    def _ids(self, *, with_source: bool) -> list[str]:
        return sorted(
            id_
            for id_, contract in self.contracts.items()
            if not with_source or (contract.source is not None and contract.database is None)
        )

    def _steps(self, value: Any, trigger: Trigger | None) -> tuple[tuple[Step, ...], tuple[Load, ...]]:
        steps: list[Step] = []
        loads: list[Load] = []
        seen: dict[str, int] = {}
        for index, item in enumerate(value or []):
            place: Place = ("steps", index)
            if not isinstance(item, dict):
                self._fault(place, f"{item!r} is not a step", "write {job: refine, writes: silver.sales.orders}")
                continue
            authored = cast("dict[str, Any]", item)
            step = self._load(authored, place) if "load" in authored else self._step(authored, place, trigger, value[:index])
            if step is None:
                continue
            if step.name in seen:
                self._fault(place, f"a second step is called {step.name!r}", "add name: to one of them")
            seen[step.name] = index
            if isinstance(step, Load):
                loads.append(step)
            elif loads:
                self._fault(
                    place, f"the job {step.job} comes after a load", "put the loads last: they take over what the jobs have published"
                )
            else:
                steps.append(step)
        if loads and not steps and not any(_is_step_of(item, *grammar.JOBS) for item in value):
            self._fault(("steps",), "only loads", "put the publish step of the dataset before them: its pipeline loads it")
        if (
            isinstance(trigger, Arrival)
            and value
            and not any(step.job == "ingest" for step in steps)
            and all(_is_step_of(item, "refine", "publish") for item in value)
        ):
            domain, _, dataset = trigger.dataset.partition(".")
            self._fault(
                ("steps",),
                f"files of {trigger.dataset} arrive, but no step ingests them",
                f"begin with {{job: ingest, writes: bronze.{domain}.{dataset}}}",
            )
        return tuple(steps), tuple(loads)

    def _load(self, item: Mapping[str, Any], place: Place) -> Load | None:
        count = len(self.faults)
        given = self._checked(item, grammar.LOAD_KEYS, place)
        into = self._word(given, "load", grammar.WAREHOUSES, place)
        name = given.get("name", "load")
        self._check_step_name(name, place)
        reads = self._dataset(given["reads"], (*place, "reads")) if "reads" in given else None
        if reads is not None:
            here: Place = (*place, "reads")
            if reads.zone != "gold":
                self._fault(here, f"{reads.zone} is not loaded into the warehouse", "name a gold dataset: publish what people query")
            else:
                try:
                    table_of(self.contracts[reads.contract_id])
                except SqlRefused as error:
                    problem, _, fix = str(error).partition(": ")
                    self._fault(here, problem, fix)
        if len(self.faults) > count or reads is None or into is None:
            return None
        return Load(name=name, into=cast(Warehouse, into), reads=reads)

    def _check_step_name(self, name: Any, place: Place) -> None:
        if isinstance(name, str) and (not _NAME.fullmatch(name) or len(name) > grammar.MAX_NAME):
            self._fault(
                (*place, "name"),
                f"{name!r} is not a name",
                f"use up to {grammar.MAX_NAME} lower-case letters, digits and underscores, a letter first",
            )

    def _step(self, item: Mapping[str, Any], place: Place, trigger: Trigger | None, before: list[Any]) -> Step | None:
        count = len(self.faults)
        given = self._checked(item, grammar.STEP_KEYS, place, grammar.NOT_YET["step"])
        job = self._word(given, "job", tuple(grammar.JOBS), place)
        engine = self._word(given, "engine", grammar.ENGINES, place) if "engine" in given else "glue"
        name = given.get("name", job)
        self._check_step_name(name, place)
        writes = self._dataset(given["writes"], (*place, "writes")) if "writes" in given else None
        if writes is not None and job is not None:
            self._check_written(job, writes, (*place, "writes"), trigger, before)
            contract = self.contracts.get(writes.contract_id)
            if job == "ingest" and engine not in (None, "glue") and contract is not None and contract.database is not None:
                self._fault(
                    (*place, "engine"),
                    f"{writes.contract_id} is read from a database, to which Glue alone has connections",
                    f"write engine: glue; the other steps may run on {engine}",
                )
        reads: list[DatasetName] = []
        if job == "publish":
            reads = self._publish_reads(given, place, writes)
        elif job is not None:
            for key in ("reads", "transform"):
                if key in given:
                    self._fault((*place, key), f"{job} takes no {key}", f"remove it: {grammar.JOBS[job]}")
            reads = self._implied_reads(job, writes)
        if len(self.faults) > count or writes is None or job is None or engine is None:
            return None
        return Step(
            name=str(name),
            job=cast(Job, job),
            writes=writes,
            reads=tuple(reads),
            transform=given.get("transform"),
            engine=cast(Engine, engine),
        )

    def _word(self, given: Mapping[str, Any], key: str, allowed: tuple[str, ...], place: Place) -> str | None:
        word = given.get(key)
        if word is None or word in allowed:
            return word
        way_out = grammar.NOT_YET[key].get(word)
        if way_out:
            self._fault((*place, key), f"{word} cannot be applied yet", way_out)
        else:
            self._fault((*place, key), f"there is no {key} {word!r}", nearest(word, allowed))
        return None

    def _dataset(self, text: Any, place: Place) -> DatasetName | None:
        try:
            dataset = DatasetName.parse(str(text))
        except ValueError as error:
            problem, _, fix = str(error).partition(": ")
            self._fault(place, problem, fix)
            return None
        contract = self.contracts.get(dataset.contract_id)
        if contract is None:
            self._fault(place, f"there is no deployed contract {dataset.contract_id!r}", nearest(dataset.contract_id, self.contracts))
            return None
        zones = ("bronze", "silver", "quarantine") if contract.source is not None else (contract.zone,)
        if dataset.zone not in zones:
            self._fault(
                place,
                f"{dataset.contract_id} has no table in {dataset.zone}",
                f"use one of: {', '.join(f'{zone}.{dataset.contract_id}' for zone in zones)}",
            )
            return None
        if contract.status == "retired":
            self._fault(place, f"{dataset.contract_id} is retired", "remove the step, or set the contract's status to active")
        return dataset

    def _check_written(self, job: str, writes: DatasetName, place: Place, trigger: Trigger | None, before: list[Any]) -> None:
        zone = grammar.ZONE_OF_JOB[job]
        if writes.zone != zone:
            self._fault(
                place,
                f"{job} writes {zone}, not {writes.zone}",
                f"write {zone}.{writes.contract_id}" if job != "publish" else "name a gold dataset",
            )
            return
        if job == "ingest":
            self._check_ingested(writes, place, trigger)
            if before:
                self._fault(place, "ingest is not the first step", "put it first")
        elif job == "refine" and not any(_ingests(item, writes.contract_id) for item in before):
            self._fault(
                place,
                f"no step before it ingests {writes.contract_id}",
                f"put {{job: ingest, writes: bronze.{writes.contract_id}}} before it",
            )

    def _check_ingested(self, writes: DatasetName, place: Place, trigger: Trigger | None) -> None:
        """What an ingest reads fits what starts it: files arrive, a database is read when its time has come."""
        contract = self.contracts.get(writes.contract_id)
        if contract is not None and contract.database is not None:
            if isinstance(trigger, Arrival) and trigger.dataset != writes.contract_id:
                self._fault(
                    place,
                    f"files of {trigger.dataset} arrive, but {writes.contract_id} is read from a database",
                    f"write trigger: {{schedule: {grammar.EXAMPLE}}}",
                )
        elif isinstance(trigger, After | Schedule):
            what = "after others" if isinstance(trigger, After) else "by the clock"
            self._fault(place, f"ingest needs files, but the pipeline starts {what}", f"write trigger: {{arrival: {writes.contract_id}}}")
        elif isinstance(trigger, Arrival) and trigger.dataset != writes.contract_id:
            self._fault(
                place, f"files of {trigger.dataset} arrive, but {writes.contract_id} is ingested", f"write bronze.{trigger.dataset}"
            )

    def _publish_reads(self, given: Mapping[str, Any], place: Place, writes: DatasetName | None) -> list[DatasetName]:
        transform = given.get("transform")
        if transform is None:
            self._fault(place, "publish has no transform", "add transform: <domain>.<function> of jobs/transforms")
        elif not _TRANSFORM.fullmatch(transform):
            self._fault(
                (*place, "transform"), f"{transform!r} is not a transform", "write <domain>.<function>, such as sales.daily_revenue"
            )
        if "reads" not in given:
            self._fault(place, "publish has no reads", "add reads: [silver.sales.orders]")
        reads: list[DatasetName] = []
        for index, text in enumerate(given.get("reads", [])):
            here: Place = (*place, "reads", index)
            dataset = self._dataset(text, here)
            if dataset is None:
                continue
            if dataset.zone not in ("silver", "gold"):
                self._fault(here, f"publish reads silver and gold, not {dataset.zone}", f"write silver.{dataset.contract_id}")
            elif dataset in reads:
                self._fault(here, f"{dataset} stands twice", "keep it once")
            elif dataset == writes:
                self._fault(here, f"{dataset} is what the step writes", "read other datasets")
            reads.append(dataset)
        return reads

    def _implied_reads(self, job: str, writes: DatasetName | None) -> list[DatasetName]:
        if job != "refine" or writes is None:
            return []
        reads = [DatasetName(zone="bronze", domain=writes.domain, dataset=writes.dataset)]
        contract = self.contracts.get(writes.contract_id)
        for rule in contract.quality.rules if contract else ():
            if rule.kind == "relationship":
                target = DatasetName.parse(rule.args["to_table"])
                if target not in (*reads, writes):
                    reads.append(target)
        return reads


def _is_step_of(item: Any, *jobs: str) -> bool:
    return isinstance(item, dict) and item.get("job") in jobs


def _ingests(item: Any, contract_id: str) -> bool:
    """Whether a step ingests a dataset, or would if what it writes were well-formed."""
    if not _is_step_of(item, "ingest"):
        return False
    writes = str(item.get("writes"))
    return not _DATASET.fullmatch(writes) or writes.partition(".")[2] == contract_id


def _check_writers(specs: list[tuple[Document, PipelineSpec]], faults: list[Fault]) -> None:
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


def _check_after(specs: list[tuple[Document, PipelineSpec]], names: set[str], faults: list[Fault]) -> None:
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
