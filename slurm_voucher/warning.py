"""Tell whoever the site says when vouchers near their end: each level once, by its own command.

The command gets one warning as JSON on its standard input, and may mail it, post it or file it.
What was told is kept in HOME/warned.json, after the command has ended well: if it is killed in
between, a warning is told twice and never not at all.
"""

import fcntl
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import durable
from accounting.errors import ConfigInvalid, InvalidInput, Unavailable
from accounting.money import yuan
from accounting.vouchers.nearing import USED, Nearing
from accounting.yamlfile import at, kind, listed, only

KEPT = "warned.json"
COMMAND_S = 60
SAID_CHARS_MAX = 200


@dataclass(frozen=True)
class Settings:
    """What a site says under `warn`: its command, and the levels at which it is told."""

    command: tuple[str, ...] = ()
    percent: tuple[int, ...] = (80, 90, 100)
    days: tuple[int, ...] = (30, 7)


def read(value: object, where: str) -> Settings:
    """Read the mapping `warn` of config.yaml.

    Raises:
        ConfigInvalid: A key is unknown or of another kind, or a level makes no sense.
    """
    keys = only(value, ("command", "percent", "days"), where)
    return Settings(
        command(keys, where),
        _levels(keys, "percent", where, 1000) or Settings.percent,
        _levels(keys, "days", where, 3660) or Settings.days,
    )


def command(keys: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Read the key `command`: a program by its whole path, and its arguments; () for none."""
    found = tuple(
        kind(word, str, place)
        for word, place in (listed(keys, "command", where) if "command" in keys else [])
    )
    if found and not found[0].startswith("/"):
        raise ConfigInvalid(f"{at(where, 'command')}: {found[0]!r} is no whole path; begin it /")
    return found


def _levels(keys: Mapping[str, Any], name: str, where: str, most: int) -> tuple[int, ...]:
    if name not in keys:
        return ()
    found = []
    for value, place in listed(keys, name, where):
        if not 0 < kind(value, int, place) <= most:
            raise ConfigInvalid(f"{place}: {value} is not between 1 and {most}")
        found.append(value)
    return tuple(found)


def words(near: Nearing) -> str:
    """Say a warning in one line."""
    if near.kind == USED:
        what = f"{near.level} % of its voucher is used"
    else:
        what = f"its voucher expires in {near.level} days or less, on {near.last_day}"
    return (
        f"account {near.account} of {near.unit}: {what}: {yuan(near.used_fen)} of "
        f"{yuan(near.issued_fen)} yuan, {yuan(near.free_fen)} is free"
    )


def told(near: Nearing) -> dict[str, Any]:
    """Return what the command is told."""
    return {
        "account": near.account,
        "unit": near.unit,
        "warning": near.kind,
        "level": near.level,
        "issued": yuan(near.issued_fen),
        "used": yuan(near.used_fen),
        "free": yuan(near.free_fen),
        "last_day": near.last_day,
        "text": words(near),
    }


def tell(home: Path, settings: Settings, found: Sequence[Nearing]) -> tuple[list[Nearing], str]:
    """Tell what was not told before.

    Returns:
        What was told, and why the rest was not: nothing when all were.

    Raises:
        InvalidInput: No command is set, or the list of what was told cannot be read.
        Unavailable: Another `svoucher warn` is at it.
    """
    if not settings.command:
        raise InvalidInput(f"warn: {home}/config.yaml names no command; set warn.command")
    done: list[Nearing] = []
    failed = ""
    with _alone(home):
        kept = _kept(home)
        for near in due(found, kept):
            failed = run(settings.command, told(near))
            if failed:
                break  # the next one would fail as well
            kept |= dict.fromkeys(near.keys, near.last_day)
            durable.put(home, KEPT, json.dumps(kept, indent=1, sort_keys=True).encode())
            done.append(near)
    return done, failed


def not_told(home: Path, found: Sequence[Nearing]) -> list[Nearing]:
    """Return what would be told."""
    return due(found, _kept(home))


def due(found: Sequence[Nearing], kept: Mapping[str, str]) -> list[Nearing]:
    """Leave out what was told before."""
    return [near for near in found if near.keys[-1] not in kept]


def _kept(home: Path) -> dict[str, str]:
    try:
        kept = json.loads((home / KEPT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InvalidInput(
            f"{home / KEPT}: no JSON ({error}); bring it back or remove it"
        ) from None
    if not isinstance(kept, dict):
        raise InvalidInput(f"{home / KEPT}: no JSON object; bring it back or remove it")
    return kept


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Let one at a time tell."""
    with (home / f"{KEPT}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("warn: another svoucher warn is at it; try again") from None
        yield


def run(command: Sequence[str], what: Mapping[str, Any]) -> str:
    """Run the site's command and tell it this; return why it did not work, or nothing."""
    try:
        done = subprocess.run(
            command,
            input=json.dumps(what, ensure_ascii=False) + "\n",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_S,
            check=False,
        )
    except OSError as error:
        return str(error.strerror)
    except subprocess.TimeoutExpired:
        return f"did not end within {COMMAND_S} s"
    said = done.stderr.strip().partition("\n")[0][:SAID_CHARS_MAX]
    return f"ended with {done.returncode}: {said}" if done.returncode else ""
