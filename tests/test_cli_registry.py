"""Freeze, amendment, end and clawback as commands: drafted, signed, accepted, shown, audited."""

import json
from pathlib import Path

import pytest
import told
from homes import HEADER, Home, an_account, furnished, one_line
from test_cli_refund import PRICES, ROW

AT = ("--as-of", "2026-11-22")


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book with an account and its voucher over 100,000 yuan."""
    home = furnished(tmp_path / "home")
    account = an_account(home)
    home.ok("unit", "revenue", "shuzhi", "2025", "20,000,000")
    home.ok("key", "make", file(home, "key"), "--actor", "office", "--role", "regulator")
    home.ok("key", "trust", file(home, "key.pub"))
    home.ok(*AT, "apply", "HT-1", "--paper", paper(home, "contract"))
    assert f"voucher {account}-1 issued" in act(home, "review", f"A-{account}", "--confirm")
    return home


def file(home: Home, name: str) -> str:
    """Return a path beside the book."""
    return str(home.path / name)


def paper(home: Home, text: str) -> str:
    """Write a paper; return its path."""
    path = Path(file(home, f"{text}.pdf"))
    path.write_text(text)
    return str(path)


def act(home: Home, *draft: str) -> str:
    """Draft an act, sign it, bring it in; return what came of it."""
    home.ok(*AT, *draft, "-o", file(home, "draft"))
    home.ok("act", "sign", file(home, "draft"), "--key", file(home, "key"), "-o", file(home, "act"))
    return home.ok(*AT, "act", "accept", file(home, "act"))


def table(home: Home, *words: str) -> list[dict[str, str]]:
    """Return what a listing shows."""
    rows: list[dict[str, str]] = json.loads(home.ok(*AT, *words, "--json"))
    return rows


def audited(home: Home) -> None:
    """Check that everything adds up."""
    assert "0 findings" in home.ok(*AT, "audit")


def test_a_unit_is_frozen_and_free_again(home: Home) -> None:
    """unit freezes shows from when to when and why."""
    reason = ("--reason", "blacklist 2026-7")
    assert "frozen from 2026-11-10" in act(
        home, "unit", "freeze", "shuzhi", "--from", "2026-11-10", *reason
    )
    assert table(home, "unit", "freezes", "shuzhi") == [
        {"from": "2026-11-10", "until": None, "reason": "blacklist 2026-7"}
    ]
    said = act(home, "unit", "unfreeze", "shuzhi", "--until", "2026-11-20", "--reason", "off")
    assert "free after 2026-11-20" in said
    assert [row["until"] for row in table(home, "unit", "freezes", "shuzhi")] == ["2026-11-20"]
    audited(home)


def test_a_contract_is_amended_both_ways(home: Home) -> None:
    """From 200,000 down to 150,000 it loses 25,000; up to 190,000 it is applied for 20,000 more."""
    on = ("--on", "2026-11-20", "--paper")
    said = home.ok(*AT, "contract", "amend", "HT-1", "--fee", "150,000", *on, paper(home, "less"))
    assert "150,000.00 yuan, 25,000.00 cancelled, 0.00 owed" in said
    home.ok(*AT, "contract", "amend", "HT-1", "--fee", "190,000", *on, paper(home, "more"))
    assert table(home, "contract", "list")[0]["fee"] == "190,000.00"
    home.ok(*AT, "apply", "HT-1", "--paper", paper(home, "more"))
    assert "CD26-0001-2 issued" in act(home, "review", "A-CD26-0001-2", "--confirm")
    assert [(row["amount"], row["left"]) for row in table(home, "voucher", "list")] == [
        ("100,000.00", "75,000.00"),
        ("20,000.00", "20,000.00"),
    ]
    audited(home)
    end = ("contract", "end", "HT-1", "--on", "2026-12-31", "--paper", paper(home, "end"))
    assert "95,000.00 yuan cancelled" in home.ok(*AT, *end)
    assert table(home, "contract", "list")[0]["state"] == "ended"
    audited(home)


def test_a_paper_of_an_amendment_is_kept(home: Home) -> None:
    """The audit misses the paper of an amendment that is gone."""
    more = paper(home, "more")
    home.ok(*AT, "contract", "amend", "HT-1", "--fee", "300,000", "--on", "2026-11-20", "--paper",
            more)  # fmt: skip
    audited(home)
    [kept] = [p for p in (home.path / "papers").rglob("*/*") if p.read_text() == "more"]
    kept.unlink()
    done = home.run(*AT, "audit", "--json")
    assert [(row["rule"], row["subject"]) for row in json.loads(done.stdout)] == [
        ("papers", "contract HT-1")
    ]


def test_a_voucher_is_clawed_back(home: Home) -> None:
    """What nobody used is cancelled and leaves no debt; a second time it is refused and kept."""
    said = act(home, "voucher", "clawback", "CD26-0001-1", "--reason", "forged")
    assert "100,000.00 yuan cancelled, 0.00 owed to the treasury" in said
    assert table(home, "voucher", "debts") == []
    home.ok(*AT, "voucher", "clawback", "CD26-0001-1", "--reason", "again", "-o",
            file(home, "draft"))  # fmt: skip
    home.ok("act", "sign", file(home, "draft"), "--key", file(home, "key"), "-o", file(home, "act"))
    one_line(home.run(*AT, "act", "accept", file(home, "act")), 1, "was taken back already")
    assert len(table(home, "key", "refusals")) == 1
    one_line(
        home.run(*AT, "voucher", "repay", "D-CD26-0001-1-1", "5", "--reference", "CZ-1"),
        3,
        "debt D-CD26-0001-1-1: not in the book",
    )
    audited(home)


def test_what_a_refund_gives_back_is_not_owed(home: Home) -> None:
    """Clawed back, repaid and then refunded: the statement, the list and the treasury's act say
    that 2.00 were asked back too much, and give them back."""
    priced = home.path / "prices.yaml"
    priced.write_text(PRICES)
    home.ok("price", "load", str(priced))
    row = ROW.format(
        id=7, start="2026-11-23T00:00:00", end="2026-11-23T01:00:00", account="CD26-0001"
    )
    (home.path / "rows.psv").write_text(f"{HEADER}\n{row}\n")
    home.ok("import", file(home, "rows.psv"), "--cluster", "chengdu")
    home.ok("--as-of", "2026-12-05", "close", "2026-11")
    said = act(home, "voucher", "clawback", "CD26-0001-1", "--reason", "forged")
    assert "99,998.00 yuan cancelled, 2.00 owed to the treasury" in said
    home.ok(*AT, "voucher", "repay", "D-CD26-0001-1-1", "2", "--reference", "CZ-1")
    home.ok("--as-of", "2026-12-06", "refund", "7", "--reason", "lost")
    one_line(
        home.run("voucher", "return", "D-CD26-0001-1-1", "--reference", "CZ-2", "-o", "x"),
        1, "0.00 yuan is paid too much",
    )  # fmt: skip
    said = home.ok("--as-of", "2027-01-05", "close", "2026-12")
    assert "debt D-CD26-0001-1-1: 2.00 less is owed to the treasury" in said
    [row] = told.rows("voucher-debts", home.ok("voucher", "debts", "--json"))
    assert [row[name] for name in ("amount", "relieved", "paid", "returned", "left")] == [
        "2.00", "2.00", "2.00", "0.00", "-2.00",
    ]  # fmt: skip
    home.ok("key", "make", file(home, "key2"), "--actor", "finance", "--role", "treasury")
    home.ok("key", "trust", file(home, "key2.pub"))
    home.ok("voucher", "return", "D-CD26-0001-1-1", "--reference", "CZ-2", "-o", file(home, "d"))
    home.ok("act", "sign", file(home, "d"), "--key", file(home, "key2"), "-o", file(home, "act"))
    assert "2.00 yuan given back to the unit" in home.ok("act", "accept", file(home, "act"))
    assert table(home, "voucher", "debts")[0]["left"] == "0.00"
    audited(home)


def test_accounts_that_are_not_there_yet(tmp_path) -> None:
    """A book without accounts says how one is opened; an account without members has none."""
    home = furnished(tmp_path / "home")
    one_line(home.run("balance"), 3, "accounts: 0 in the book", "svoucher contract sign")
    account = an_account(home)

    assert home.ok("members", account) == home.ok("members") == "nothing to show\n"
    one_line(home.run("members", "CD99-9999"), 3, "account CD99-9999: not in the book")


def test_what_a_limit_has_no_room_for_waits(home: Home) -> None:
    """After 1,000,000 yuan of a unit in a year the next application waits, and is listed."""
    came = []
    for number, fee in (("2", "2,400,000"), ("3", "2,600,000")):
        on = ("--on", "2026-11-20", "--paper", paper(home, number))
        home.ok(*AT, "contract", "amend", "HT-1", "--fee", fee, *on)
        home.ok(*AT, "apply", "HT-1", "--paper", paper(home, number))
        came.append(act(home, "review", f"A-CD26-0001-{number}", "--confirm"))
    assert [each.strip().rpartition(": ")[2] for each in came] == [
        "voucher CD26-0001-2 issued", "confirmed, it waits for money"
    ]  # fmt: skip
    found = told.rows("waiting-list", home.ok(*AT, "waiting", "list", "--json"))
    assert [(row["application"], row["wanted"], row["state"]) for row in found] == [
        ("A-CD26-0001-3", "100,000.00", "waits")
    ]
    told.same_as_csv(found, home.ok(*AT, "waiting", "list", "--csv"))
    audited(home)
