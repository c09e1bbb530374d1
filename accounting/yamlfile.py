"""Read YAML strictly: what a file says is what is meant, or it is refused with its place.

Refused on top of what PyYAML's safe loader refuses: keys given twice, keys that are not text,
floats, integers in YAML 1.1's odd spellings (010, 1:30, 1_000), `yes` and `no` read as booleans,
anchors with aliases, and merge keys. Knows nothing of what the keys mean.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any, NoReturn, TypeVar

import yaml
from yaml.composer import Composer

from accounting import period
from accounting.errors import ConfigInvalid

T = TypeVar("T")

_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_STR = "tag:yaml.org,2002:str"
_KINDS: dict[type, str] = {
    str: 'text (quoted, as in "24.00")',
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    date: "a day such as 2024-07-01",
}


class _Loader(Composer, yaml.CSafeLoader):
    """PyYAML's safe loader without what lets two readers understand two things.

    libyaml reads the text, in a fifth of the time that PyYAML itself takes, for which every command
    would wait; what it reads is put together by Composer, where an alias can be refused.
    """

    def __init__(self, text: str) -> None:
        Composer.__init__(self)
        yaml.CSafeLoader.__init__(self, text)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.get_event()
            _refuse(event, f"alias *{event.anchor} is not used here; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != _STR:
                shown = getattr(key, "value", "?")
                _refuse(key, f"key {shown!r} is not read as text; put it in quotes")
            if key.value in seen:
                _refuse(key, f"key {key.value!r} is given twice; keep one of them")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def integer(self, node: yaml.ScalarNode) -> int:
        if not _INT.fullmatch(node.value):
            _refuse(node, f"{node.value} is no plain whole number; write it plainly or quote it")
        return int(node.value)

    def no_float(self, node: yaml.ScalarNode) -> NoReturn:
        _refuse(node, f'{node.value} would be read as a float; put it in quotes: "{node.value}"')

    def boolean(self, node: yaml.ScalarNode) -> bool:
        if node.value not in ("true", "false"):
            _refuse(node, f"{node.value} could be a boolean; write true or false, or quote it")
        return bool(node.value == "true")


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.no_float)
_Loader.add_constructor("tag:yaml.org,2002:bool", _Loader.boolean)


def _refuse(node: Any, problem: str) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def read(text: str, source: str) -> dict[str, Any]:
    """Read one YAML document that is a mapping.

    Args:
        text: The whole file.
        source: Its name, for messages.

    Raises:
        ConfigInvalid: It is no YAML, or YAML of a kind that the module docstring refuses.
    """
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigInvalid(f"{source}: {place}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigInvalid(f"{source}: cannot be read as YAML: {reason}") from None
    return kind(content, dict, source)


def at(where: str, key: object) -> str:
    """Go one key deeper in a place: 'a.yaml' → 'a.yaml: clusters' → 'a.yaml: clusters.chengdu'."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{key}" if ": " in where else f"{where}: {key}"


def kind(value: object, wanted: type[T], where: str) -> T:
    """Return a value that is exactly of one kind (true is no number, an instant is no day)."""
    if type(value) is not wanted:
        shown = "nothing" if value is None else repr(value)
        if len(shown) > 40:
            shown = f"{shown[:37]}..."
        raise ConfigInvalid(f"{where}: {shown} stands where {_KINDS[wanted]} belongs")
    return value


def need(mapping: Mapping[str, Any], key: str, wanted: type[T], where: str) -> T:
    """Return the value of a key that must be there and be of one kind."""
    if key not in mapping:
        raise ConfigInvalid(f"{where}: key {key!r} is missing; add it as {_KINDS[wanted]}")
    return kind(mapping[key], wanted, at(where, key))


def only(value: object, allowed: Collection[str], where: str) -> dict[str, Any]:
    """Return a mapping that has no other keys than these.

    Raises:
        ConfigInvalid: It is no mapping, or a key is unknown; names the nearest one that is known.
    """
    mapping = kind(value, dict, where)
    for key in mapping:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            advice = (
                f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(allowed))}"
            )
            raise ConfigInvalid(f"{where}: key {key!r} is unknown; {advice}")
    return mapping


def listed(mapping: Mapping[str, Any], key: str, where: str) -> list[tuple[Any, str]]:
    """Return the entries of a list that must be there and not be empty, each with its place."""
    values, here = need(mapping, key, list, where), at(where, key)
    if not values:
        raise ConfigInvalid(f"{here}: is an empty list; add what is in force, or leave the key out")
    return [(value, at(here, number)) for number, value in enumerate(values)]


def instant(value: object, timezone: str, where: str) -> int:
    """Return the epoch second of a day's begin in a time zone, or of an instant with its offset."""
    if not isinstance(value, datetime):
        return period.instant(kind(value, date, where), timezone)
    if value.utcoffset() is None or value.microsecond:
        raise ConfigInvalid(f"{where}: {value} is no whole second with an offset, such as +08:00")
    return int(value.timestamp())
