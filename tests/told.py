"""What svoucher prints for programs: JSON by the schemas in tests/schemas/commands, CSV alike."""

import csv
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

SCHEMAS = Path(__file__).parent / "schemas" / "commands"


@cache
def _schema(command: str) -> tuple[dict[str, Any], Any]:
    schema = json.loads((SCHEMAS / f"{command}.json").read_text(encoding="utf-8"))
    return schema, fastjsonschema.compile(schema)


def rows(command: str, text: str) -> list[dict[str, Any]]:
    """Read what a command printed with --json, and hold it against its schema."""
    schema, check = _schema(command)
    found: list[dict[str, Any]] = json.loads(text)
    check(found)
    for row in found:  # columns of a table stand in one order
        assert list(row) == schema["items"]["required"]
    return found


def same_as_csv(found: list[dict[str, Any]], text: str) -> None:
    """Check that CSV says the same as JSON did."""
    written = list(csv.DictReader(io.StringIO(text)))
    assert written == [{k: "" if v is None else str(v) for k, v in row.items()} for row in found]
