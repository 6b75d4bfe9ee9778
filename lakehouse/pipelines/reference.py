"""Tables of docs/pipelines.md, written from the grammar."""

from __future__ import annotations

from lakehouse import rows
from lakehouse.pipelines import grammar


def sections() -> dict[str, str]:
    """Generated parts of the page by name."""
    return {
        "pipeline": _keys(grammar.PIPELINE_KEYS),
        "trigger": _keys(grammar.TRIGGER_KEYS),
        "step": _keys(grammar.STEP_KEYS),
        "load": _keys(grammar.LOAD_KEYS),
        "rows": _keys(grammar.ROWS_KEYS),
        "row": _row_keys(),
        "jobs": "\n".join(
            [
                "| job | writes | what it does |",
                "|---|---|---|",
                *(f"| `{job}` | {grammar.ZONE_OF_JOB[job]} | {text} |" for job, text in grammar.JOBS.items()),
            ]
        ),
        "not_yet": "\n".join(
            ["| word | where | instead |", "|---|---|---|"]
            + [f"| `{word}` | {where} | {way_out} |" for where, words in grammar.NOT_YET.items() for word, way_out in words.items()]
        ),
    }


def _keys(keys: tuple[grammar.Key, ...]) -> str:
    lines = [f"| `{key.name}` | `{key.form}` | {'yes' if key.required else ''} | {key.meaning} |" for key in keys]
    return "\n".join(["| key | form | required | meaning |", "|---|---|---|---|", *lines])


def _row_keys() -> str:
    lines = [
        f"| `{name}` | `{form}` | {'yes' if name in rows.REQUIRED else ''} | {meaning} |" for name, (form, meaning) in rows.KEYS.items()
    ]
    return "\n".join(["| key | form | required | meaning |", "|---|---|---|---|", *lines])
