"""All contracts of a project: read, checked together and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.contracts.compiler.contract import AuthoredContract, parse_contract
from lakehouse.contracts.compiler.documents import read_document, relative
from lakehouse.contracts.compiler.evolution import Change, version_faults
from lakehouse.contracts.compiler.lock import COMMAND, LOCK_SUFFIX, Lock, lock_path, next_lock, number
from lakehouse.contracts.compiler.relationships import relationship_rules
from lakehouse.contracts.model import CompiledContract
from lakehouse.errors import ConfigurationError, Fault

SUFFIX = ".odcs.yaml"
"""How the name of a contract file ends."""


@dataclass(frozen=True, kw_only=True)
class LockChange:
    """A lock file that was written or removed.

    Attributes:
        path: The file.
        contract: Id of the contract.
        version: Version that is locked now.
    """

    path: Path
    contract: str
    version: str


def compile_contracts(folder: Path, *, root: Path | None = None) -> dict[str, CompiledContract]:
    """Compile every contract below a folder; drafts are checked and left out.

    Args:
        folder: Folder with `<domain>/<dataset>.odcs.yaml` and their lock files.
        root: Folder that paths in errors are relative to; the parent of `folder` by default.

    Returns:
        Compiled contracts by id, sorted.

    Raises:
        ConfigurationError: Contracts or lock files have faults; it names all of them.
    """
    root = folder.parent if root is None else root
    faults: list[Fault] = []
    compiled: dict[str, CompiledContract] = {}
    for path, authored in _authored(folder, root, faults):
        old = _read_lock(path, authored, root, faults)
        new = next_lock(authored, old)
        change = Change.between(authored, old, new) if old else Change()
        faults += [*change.refused, *version_faults(authored, old, change)]
        if authored.status != "draft":
            if not change.refused and (old is None or old.to_text() != new.to_text()):
                faults.append(_stale(lock_path(path), root, is_missing=old is None))
            compiled[authored.id] = number(authored, new)
    if faults:
        raise ConfigurationError(faults)
    return dict(sorted(compiled.items()))


def update_locks(folder: Path, *, root: Path | None = None) -> tuple[LockChange, ...]:
    """Bring the lock files of a folder up to date, unless a change is refused.

    Returns:
        The files that changed.

    Raises:
        ConfigurationError: Contracts have faults, or a change is refused; no file is written then.
    """
    root = folder.parent if root is None else root
    faults: list[Fault] = []
    changes: list[tuple[LockChange, str]] = []
    for path, authored in _authored(folder, root, faults):
        if authored.status == "draft":
            continue
        old = _read_lock(path, authored, root, faults)
        new = next_lock(authored, old)
        change = Change.between(authored, old, new) if old else Change()
        faults += [*change.refused, *version_faults(authored, old, change)]
        if old is None or old.to_text() != new.to_text():
            changes.append((LockChange(path=lock_path(path), contract=authored.id, version=authored.version), new.to_text()))
    if faults:
        raise ConfigurationError(faults)
    for change, text in changes:
        change.path.write_text(text, encoding="utf-8", newline="\n")
    return tuple(change for change, _ in changes)


def bundle(contracts: Mapping[str, CompiledContract]) -> dict[str, object]:
    """The compiled contracts as one document for jobs and functions."""
    return {"contracts": {id_: contract.to_dict() for id_, contract in sorted(contracts.items())}}


def _authored(folder: Path, root: Path, faults: list[Fault]) -> list[tuple[Path, AuthoredContract]]:
    paths = _contract_files(folder, root, faults)
    parsed: list[tuple[Path, AuthoredContract]] = []
    for path in paths:
        document = read_document(path, root=root, faults=faults)
        if document is not None:
            authored = parse_contract(document, faults)
            if authored is not None:
                parsed.append((path, authored))
    by_id = {authored.id: authored for _, authored in parsed}
    complete = len(parsed) == len(paths)
    return [(path, _with_relationships(authored, by_id, faults, complete=complete)) for path, authored in parsed]


def _with_relationships(
    authored: AuthoredContract, by_id: Mapping[str, AuthoredContract], faults: list[Fault], *, complete: bool
) -> AuthoredContract:
    rules = relationship_rules(authored, by_id, faults, complete=complete)
    return replace(authored, quality=replace(authored.quality, rules=(*authored.quality.rules, *rules)))


def _stale(lock_file: Path, root: Path, *, is_missing: bool) -> Fault:
    file = relative(lock_file, root)
    problem = "does not exist" if is_missing else "is not what the contract says"
    return Fault(file=file, line=0, place="(file)", problem=problem, fix=f"run `{COMMAND}` and commit {file}")


def _contract_files(folder: Path, root: Path, faults: list[Fault]) -> list[Path]:
    if not folder.is_dir():
        faults.append(
            Fault(
                file=relative(folder, root),
                line=0,
                place="(folder)",
                problem="does not exist",
                fix="put contracts into <domain>/<dataset>.odcs.yaml",
            )
        )
        return []
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.name.endswith(SUFFIX):
            found.append(path)
        elif path.suffix in (".yaml", ".yml"):
            faults.append(
                Fault(
                    file=relative(path, root),
                    line=0,
                    place="(file)",
                    problem="would not be read",
                    fix=f"name it <dataset>{SUFFIX}, or move it out of {folder.name}/",
                )
            )
    for path in sorted(folder.rglob("*" + LOCK_SUFFIX)):
        if not path.with_name(path.name.removesuffix(LOCK_SUFFIX) + SUFFIX).exists():
            fix = "restore the contract, or delete the lock file as well if the dataset leaves the platform"
            faults.append(
                Fault(file=relative(path, root), line=0, place="(file)", problem="is a lock file whose contract is gone", fix=fix)
            )
    return found


def _read_lock(path: Path, authored: AuthoredContract, root: Path, faults: list[Fault]) -> Lock | None:
    file = lock_path(path)
    if not file.exists():
        return None
    fix = f"restore {relative(file, root)} from version control; never edit it by hand"
    try:
        lock = Lock.from_text(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        faults.append(Fault(file=relative(file, root), line=0, place="(file)", problem=f"cannot be read: {error}", fix=fix))
        return None
    if lock.contract != authored.id:
        faults.append(
            Fault(file=relative(file, root), line=0, place="contract", problem=f"{lock.contract!r} is not {authored.id!r}", fix=fix)
        )
    return lock
