"""bench/hook.py counts right: what was held, what was slow, and how sure a median is."""

import numpy as np
import pytest

from bench import hook, site

HOLD = "0123456789abcdef" * 2


def rows(*said: tuple[int, int, int, str]) -> np.ndarray:
    """Return records as the plugin that times another leaves them."""
    return np.array([(a, b, c, text.encode()) for a, b, c, text in said], site.RECORD)


@pytest.mark.parametrize(("n", "low", "high"), [(2, 0, 1), (5, 0, 4), (10, 1, 8), (30, 9, 20)])
def test_interval_of_a_median(n, low, high) -> None:
    """The interval has the median at 95 % by the binomial law: of 10 the 2nd and the 9th."""
    assert hook.interval(list(reversed(range(n)))) == (low, high)


def test_only_what_was_answered_is_held() -> None:
    """A refusal and a job that was let in without an answer have no hold to be lost."""
    own = rows(
        (1, 1, 0, f"voucher=CD26-0001;hold={HOLD};held=5"),
        (2, 1, 0, f"voucher=CD26-0001;hold={HOLD[::-1]};held=?"),
        (3, 1, 2050, "voucher CD26-0001: this job may cost 5.00 yuan"),
    )

    assert hook._held(own) == {HOLD}


def test_latency_by_minute() -> None:
    """Each minute since the first submit has figures of its own."""
    minute_ns = 60_000_000_000
    own = rows((7, 1_000, 0, ""), (6 + minute_ns, 3_000, 0, ""), (7 + minute_ns, 9_000, 0, ""))

    assert [(m["submits"], m["us_p50"], m["us_max"]) for m in hook.by_minute(own)] == [
        (2, 2.0, 3.0),
        (1, 9.0, 9.0),
    ]


def test_bounds_that_were_not_measured_are_not_missed() -> None:
    """A bound is missed on its wrong side alone, and only where there is a figure."""
    good = {"ratio": 0.9, "in_hook_us_p50": 150.0, "false_refusals": 0}

    assert hook.missed(good) == []
    assert hook.missed(good | {"ratio": 0.89, "lost": 1}) == ["ratio", "lost"]


def test_records_are_as_in_c() -> None:
    """A record is as long here as in peers/timed.c."""
    text = (hook.ROOT / "bench" / "peers" / "timed.c").read_text(encoding="utf-8")

    assert "char said[240];" in text
    assert site.RECORD.itemsize == 8 + 4 + 4 + 240


def test_users_are_as_in_c() -> None:
    """The first user is the same here as in peers/submit.c."""
    text = (hook.ROOT / "bench" / "peers" / "submit.c").read_text(encoding="utf-8")

    assert f"#define UID_FIRST {site.UIDS.start}\t" in text
