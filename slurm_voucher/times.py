"""Read the times that Slurm's commands print: instants, durations and time limits."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from accounting import period

_EPOCH = datetime(1970, 1, 1)
YEAR_MAX = 2100
_LATEST_S = int((datetime(YEAR_MAX + 1, 1, 1) - _EPOCH).total_seconds())
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,7})-)?(\d{1,9})(?::(\d\d))?(?::(\d\d))?", re.ASCII)
NO_LIMIT = frozenset({"UNLIMITED", "Partition_Limit", ""})
"""What sacct prints where a job has no time limit of its own."""


def epoch_s(text: str, timezone: str) -> int:
    """Read an instant, 2016-12-22T07:03:30 in the given zone or epoch seconds, as epoch seconds.

    Raises:
        ValueError: Not such a time, one outside of 1970 to 2100, or a local time that the zone
            skips or has twice.
    """
    if _LOCAL.fullmatch(text) is None:
        if text.isascii() and text.isdigit() and len(text) <= 11:
            return _in_reach(int(text))
        raise ValueError("is no time such as 2016-12-22T07:03:30")
    return _naive_s(text) if timezone == "UTC" else _zoned_s(text, timezone)


def _naive_s(text: str) -> int:
    """Read a local time as if it were UTC."""
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError as error:
        raise ValueError(f"is no time: {error}") from None
    return _in_reach(since.days * 86400 + since.seconds)


def _in_reach(at_s: int) -> int:
    """Refuse what no cluster can have recorded: it would end in a month that nobody closes."""
    if not 0 <= at_s < _LATEST_S:
        raise ValueError(f"is not between 1970 and {YEAR_MAX}")
    return at_s


@lru_cache(maxsize=65536)
def _zoned_s(text: str, timezone: str) -> int:
    """Read a local time of a zone; one that is skipped or comes twice is refused."""
    _naive_s(text)
    early = datetime.fromisoformat(text).replace(tzinfo=period.zone(timezone), fold=0)
    late = early.replace(fold=1)
    if early.utcoffset() != late.utcoffset():
        raise ValueError(f"does not exist or comes twice in {timezone}; export with TZ=UTC")
    return int(early.timestamp())


def utc(at_s: int) -> str:
    """Write an instant for a command that runs with TZ=UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def duration_s(text: str) -> int:
    """Read a duration as seconds: [D-]HH:MM:SS, D-HH[:MM] or MM:SS.

    Raises:
        ValueError: Not such a duration; a bare number could be minutes or seconds.
    """
    match = _DURATION.fullmatch(text)
    if match is None or (match[1] is None and match[3] is None):
        raise ValueError("is no duration such as 7-20:39:39")
    days, first, second, third = match.groups()
    if days is None and third is None:
        first, second, third = "0", first, second
    hours, minutes, seconds = int(first), int(second or 0), int(third or 0)
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def limit_minutes(text: str) -> int | None:
    """Read a time limit as whole minutes, rounded up as Slurm does. None: no limit of its own.

    Raises:
        ValueError: Not a time limit as sbatch -t takes and sacct prints it.
    """
    if text in NO_LIMIT:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    return -(-duration_s(text) // 60)
