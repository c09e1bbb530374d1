"""The chart of accounts on its page is the ledger's, and what is said of its sides holds."""

import re
from pathlib import Path

import pytest
from delivery import close, load_prices, take, yuan
from sqlalchemy import select

from accounting.book import ledger, schema
from accounting.book.ledger import CHART

PAGE = (Path(__file__).parent.parent / "accounting" / "README.md").read_text(encoding="utf-8")
PART = PAGE.partition("## Chart of accounts\n")[2].partition("\n## ")[0]
TABLES = [
    [line for line in block.splitlines() if line.startswith("| ")][1:]
    for block in PART.split("\n\n")
    if "|---|" in block
]
WORDS = ("credit", "memo")


def accounts(cell: str) -> list[str]:
    """Read the accounts that a cell names; `.deducted` after `voucher.left` is another of them."""
    names: list[str] = []
    for name in re.findall(r"`([^`]+)`", cell):
        names.append(names[0].partition(".")[0] + name if name.startswith(".") else name)
    return names


def marks(text: str) -> set[str]:
    """Read (credit), (memo) or both."""
    [inside] = re.findall(r"\(([^)]*)\)", text)[-1:] or [""]
    return {word for word in inside.split(", ") if word in WORDS}


def described() -> dict[str, set[str]]:
    """Return what the page says of each account: on the credit side, a memo, or neither."""
    found = {}
    for line in TABLES[0]:
        cell = line.split("|")[1]
        for name in accounts(cell):
            assert name not in found, f"{name} stands twice"
            found[name] = marks(cell)
    return found


def test_the_page_has_every_account() -> None:
    """Every account of the chart stands on the page, once, and no other."""
    assert set(described()) == set(CHART)


@pytest.mark.parametrize("account", CHART)
def test_the_page_says_the_side(account: str) -> None:
    """An account is a credit or a memo on the page where the chart says so."""
    said = described()[account]

    assert ("credit" in said) == ("credit" in marks(CHART[account]))
    assert ("memo" in said) == ("memo" in marks(CHART[account]))


def test_every_account_has_an_act() -> None:
    """The page shows for each account an act that posts to it."""
    posted = {name for line in TABLES[1] for name in accounts(line.split("|", 2)[2])}

    assert set(CHART) - posted == set()


def test_one_sided_accounts_are_of_the_chart() -> None:
    """What never may be below or above nothing is an account of the chart, on the right side."""
    assert set(schema.NEVER_BELOW) | set(schema.NEVER_ABOVE) <= set(CHART)
    assert all("credit" not in marks(CHART[name]) for name in schema.NEVER_BELOW)
    assert all("credit" in marks(CHART[name]) for name in schema.NEVER_ABOVE)


def test_memo_accounts_sum_to_zero_by_themselves(town) -> None:
    """No entry moves money between memo accounts and the others."""
    load_prices(town)
    take(town, yuan(1, 200))
    close(town, "2024-11")
    memo = {name for name, text in CHART.items() if "memo" in marks(text)}
    sums: dict[int, int] = {}
    with town.begin() as conn:
        for line in conn.execute(select(schema.posting)):
            if line.account in memo:
                sums[line.seq] = sums.get(line.seq, 0) + line.amount_micro
        assert ledger.head(conn)[0] > len(sums) > 1
    assert set(sums.values()) == {0}
