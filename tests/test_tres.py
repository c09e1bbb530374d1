"""slurm_voucher/tres.py and times.py: against tables printed by Slurm and by its other readers."""

import pytest
from runs import expected

from slurm_voucher import times, tres


@pytest.mark.parametrize(("text", "cards"), expected("xdmod/unit/alloc-tres-gpu-count.json"))
def test_card_counts_of_xdmod(text: str, cards: int) -> None:
    """Cards are counted as XDMoD counts them."""
    assert tres.read(text).cards == cards


@pytest.mark.parametrize(
    ("text", "cards", "gres"),
    [
        ("gres/gpu:ascend_910b=2,gres/gpu=2", 2, "gpu:ascend_910b=2"),
        ("gres/gpu=3,gres/gpu:ascend_910b=2", 3, "gpu:ascend_910b=2,gpu=1"),
        ("gres/gpu:b=1,gres/gpu:a=2", 3, "gpu:a=2,gpu:b=1"),
        ("gres/npu=1,gres/gpu=1,gres/dcu:z100=4", 6, "dcu:z100=4,gpu=1,npu=1"),
        ("gres/gpu=0,gres/gpu:a=0", 0, ""),
        ("gres/gpu=2K", 2048, "gpu=2048"),
        ("gres/gpumem=80G,license/gpu=1,cpu=1", 0, ""),
        ("gres/shard=4,gres/mps=50,cpu=1", 0, "mps=50,shard=4"),
        ("gres/shard=4,gres/shard:ascend_910b=4", 0, "shard:ascend_910b=4"),
        ("gres/shard=5,gres/shard:a=4,gres/gpu=1", 1, "gpu=1,shard:a=4,shard=1"),
    ],
)
def test_cards_by_kind(text: str, cards: int, gres: str) -> None:
    """A sum is never added to its types, and parts of cards are read and are not cards."""
    assert tres.read(text)[:2] == (cards, gres)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gres/gpu=1,gres/gpu:a=2", "less than its types together, 2"),
        ("gres/shard=1,gres/shard:a=2", "less than its types together, 2"),
        ("gres/gpu=1.21K", "--noconvert"),
        ("gres/gpu=-1", "--noconvert"),
        ("gres/gpu", "no name=count"),
        ("cpu=1,,node=1", "no name=count"),
        ("1=4,1001=8", "no name=count"),
        ("gres/gpu=1,gres/gpu=1", "stands twice"),
        ("mem=much", "no size of memory"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, reason: str) -> None:
    """A text that contradicts itself or is not understood is no zero."""
    with pytest.raises(ValueError, match=reason):
        tres.read(text)


@pytest.mark.parametrize(
    ("text", "mem_mb"),
    [
        ("mem=48000M", 48000),
        ("mem=62.50G", 64000),
        ("mem=1T", 1048576),
        ("mem=1536K", 1),
        ("mem=4000", 4000),
        ("cpu=1", None),
    ],
)
def test_memory(text: str, mem_mb: int | None) -> None:
    """Memory is MiB, rounded down; where the text is silent it is unknown."""
    assert tres.read(text).mem_mb == mem_mb


@pytest.mark.parametrize(("text", "minutes"), expected("parse/slurm-timelimit-pairs.json")["pairs"])
def test_time_limits_of_sacct(text: str, minutes: str) -> None:
    """Timelimit is read as the minutes that sacct itself prints as TimelimitRaw."""
    assert times.limit_minutes(text) == int(minutes)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("Partition_Limit", None), ("UNLIMITED", None), ("90", 90), ("00:30", 1), ("1-12", 2160)],
)
def test_time_limits_of_sbatch(text: str, minutes: int | None) -> None:
    """A bare number is minutes, seconds are rounded up, and no limit is None."""
    assert times.limit_minutes(text) == minutes


@pytest.mark.parametrize(
    ("text", "seconds"), expected("parse/slurm2sql-tables.json")["slurm_time_seconds"].items()
)
def test_durations_of_slurm2sql(text: str, seconds: int) -> None:
    """Durations are read as slurm2sql reads them."""
    assert times.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "-1:00", "1:0:0", "1:00:00.5", "１:００", "1-", "a"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A bare number is no duration: it could be minutes or seconds."""
    with pytest.raises(ValueError, match="is no duration"):
        times.duration_s(text)


def test_instants() -> None:
    """An instant is read in its zone, and epoch seconds as they are."""
    assert times.epoch_s("2016-12-22T07:03:30", "UTC") == 1482390210
    assert times.epoch_s("2016-12-22T15:03:30", "Asia/Shanghai") == 1482390210
    assert times.epoch_s("1482390210", "Asia/Shanghai") == 1482390210
    assert times.utc(1482390210) == "2016-12-22T07:03:30"


@pytest.mark.parametrize("text", ["2024-03-10T02:30:00", "2024-11-03T01:30:00"])
def test_local_times_that_are_not_one_instant(text: str) -> None:
    """A local time that a zone skips or has twice is refused and not guessed."""
    with pytest.raises(ValueError, match="export with TZ=UTC"):
        times.epoch_s(text, "America/New_York")


@pytest.mark.parametrize(
    "text", ["2016-12-22", "2016-W01-1T07:03:30", "2016-13-01T00:00:00", "Unknown", "-5", "1e9"]
)
@pytest.mark.parametrize("timezone", ["UTC", "Asia/Shanghai"])
def test_what_is_no_instant_is_refused(text: str, timezone: str) -> None:
    """Anything else is no time."""
    with pytest.raises(ValueError, match="is no time"):
        times.epoch_s(text, timezone)
