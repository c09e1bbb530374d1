"""svoucher refund and explain, for one who types them."""

from pathlib import Path

import pytest
from homes import HEADER, Home, an_account, furnished, one_line

ROW = (
    "{id}|{id}|chengdu|core|normal|lab|li|1001|{start}|{start}|{end}|3600|COMPLETED|1|4|cpu=4,node=1"
    "|cpu=4,node=1|voucher={account}"
)
PRICES = """
tariff: hand-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  chengdu:
    partitions:
      core:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A rehearsal with an account, and a job of it that ran twice in November 2026."""
    home = furnished(tmp_path / "home")
    account = an_account(home)
    (tmp_path / "prices.yaml").write_text(PRICES)
    home.ok("price", "load", str(tmp_path / "prices.yaml"))
    rows = [
        ROW.format(
            id=7, start=f"2026-11-2{day}T00:00:00", end=f"2026-11-2{day}T01:00:00", account=account
        )
        for day in (3, 4)
    ]
    (tmp_path / "rows.psv").write_text("\n".join([HEADER, *rows]) + "\n")
    said = home.ok("import", str(tmp_path / "rows.psv"), "--cluster", "chengdu")
    assert "charged 8.00" in said
    return home


def test_a_job_of_several_runs_has_to_be_said_apart(home: Home) -> None:
    """Which of a job's runs is meant is asked, each by its start; the other one is left alone."""
    starts = ("2026-11-23T08:00:00+08:00", "2026-11-24T08:00:00+08:00")
    one_line(home.run("refund", "7", "--reason", "lost"), 3, *starts, "stands for 2 runs")
    said = home.ok("refund", "7", "--reason", "lost", "--start", starts[0])

    assert said.startswith("refund R-CD26-0001-1: job 7 of chengdu, 4.000000 yuan")
    assert "it was on no statement" in said
    twice = home.run("refund", "7", "--reason", "lost", "--start", starts[0])
    one_line(twice, 1, "is refunded already by R-CD26-0001-1 (lost)")
    one_line(home.run("refund", "8", "--reason", "lost"), 3, "job 8: 0 such runs")


def test_explain_tells_of_a_refund(home: Home) -> None:
    """Before its credit and after it, explain says what was recorded and where it went."""
    home.ok("--as-of", "2026-12-05", "close", "2026-11")
    start = "2026-11-24T08:00:00+08:00"
    said = home.ok("--as-of", "2026-12-06", "refund", "7", "--reason", "lost", "--start", start)
    assert "recorded on line S-CD26-0001-2026-11/1 is fee 4.00 = voucher 0.00 + cash 4.00" in said
    assert "to be credited" in home.ok("explain", "7")
    closed = home.ok("--as-of", "2027-01-05", "close", "2026-12", "--account", "CD26-0001")

    assert closed.splitlines()[-1] == "2026-12 is closed for CD26-0001: 1 statements"
    again = home.ok("--as-of", "2027-01-09", "close", "2026-12", "--account", "CD26-0001")
    assert again == closed
    explained = home.ok("explain", "7")
    assert "refunded by R-CD26-0001-1 (lost)" in explained
    assert "credited on line S-CD26-0001-2026-12/1" in explained
    assert "0 findings" in home.ok("audit")
