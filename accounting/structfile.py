"""Turn a read file into structs, and say in words and with its place what does not fit.

msgspec checks; what it says is meant for programmers, so it is said again for who wrote the file:
the place as in every other file here, the key that was meant, and what belongs there.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from accounting.errors import ConfigInvalid
from accounting.yamlfile import at

T = TypeVar("T")
Scalar = Callable[[type, Any], Any]

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")


def convert(raw: Mapping[str, Any], wanted: type[T], scalar: Scalar, source: str) -> T:
    """Turn what a file says into structs.

    Args:
        raw: The file, read.
        wanted: The struct that the whole file is.
        scalar: Reads what is written as text but is something else, or raises ValueError.
        source: The file's name, for messages.

    Raises:
        ConfigInvalid: A key is unknown, missing or of another kind; names the place.
    """
    try:
        return msgspec.convert(raw, wanted, dec_hook=scalar)
    except msgspec.ValidationError as error:
        said = str(error)
        match = _PLACE.search(said)
        path, said = (match["path"], said[: match.start()]) if match else ("", said)
        place = _followed(path, raw, wanted, scalar, source)
        raise ConfigInvalid(_explained(said, error.__cause__, *place)) from None


def _explained(said: str, cause: object, where: str, value: object, known: Any) -> str:
    """Say in our words and with its place what msgspec found."""
    if cause is not None:
        return f"{where}: {cause}"
    if match := _UNKNOWN.fullmatch(said):
        keys = [each.encode_name for each in known.fields]
        near = difflib.get_close_matches(match["key"], keys, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(keys))}"
        return f"{where}: key {match['key']!r} is unknown; {advice}"
    if match := _MISSING.fullmatch(said):
        wanted = {each.encode_name: each.type for each in known.fields}[match["key"]]
        return f"{where}: key {match['key']!r} is missing; add it as {_named(wanted)}"
    if said.startswith("Invalid enum value"):
        return f"{where}: {value!r} is unknown; known: {', '.join(map(str, known.values))}"
    if said.startswith("Expected `int` >"):
        return f"{where}: {value!r} is not above zero; give a positive number"
    if said.startswith("Expected `str` matching"):
        return f"{where}: {value!r} is no such word; it has to fit {known.pattern}"
    shown = "nothing" if value is None else repr(value)[:40]
    return f"{where}: {shown} stands where {_named(known)} belongs"


def _followed(
    path: str, raw: Any, wanted: type, scalar: Scalar, source: str
) -> tuple[str, Any, Any]:
    """Follow msgspec's path (`.issue.caps[0].max`, `.categories[...].ratio`) into the file.

    Of a mapping's values (`[...]`) it does not say which: the first is meant that has the fault.

    Returns:
        The place in words, what stands there, and msgspec's description of what should.
    """
    known: Any = inspect.type_info(wanted)
    where, value = source, raw
    for name, number in _STEP.findall(path):
        if name:
            key: Any = name
            known = next(each.type for each in known.fields if each.encode_name == name)
        elif number == "...":
            known = known.value_type
            key = next(
                (k for k in value if not _is_good(value[k], known, scalar)), next(iter(value))
            )
        else:
            key, known = int(number), known.item_type
        if isinstance(known, inspect.UnionType):  # with None: what may be left out
            known = known.types[0]
        where, value = at(where, key), value[key]
    return where, value, known


def _is_good(value: object, known: Any, scalar: Scalar) -> bool:
    try:
        msgspec.convert(value, getattr(known, "cls", Any), dec_hook=scalar)
    except msgspec.ValidationError:
        return False
    return True


def _named(known: Any) -> str:
    """Say what belongs somewhere."""
    match known:
        case inspect.IntType():
            return "a whole number"
        case inspect.BoolType():
            return "true or false"
        case inspect.DateType():
            return "a day such as 2024-07-01"
        case inspect.StructType() | inspect.DictType():
            return "a mapping"
        case inspect.VarTupleType():
            return "a list"
        case inspect.LiteralType():
            return "one of " + ", ".join(map(str, known.values))
    return 'text (quoted, as in "24.00")'
