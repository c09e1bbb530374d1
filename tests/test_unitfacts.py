"""What is so of a unit counts on its days, and on no other."""

from datetime import date

import pytest
import town as towns
from homes import Home, an_account, furnished, one_line
from town import UNIT, stamp

from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, NotEligible
from accounting.vouchers import unitfacts

SOURCE = "court of 2024-06-30"


def enter(conn, fact="blacklist", from_on=date(2024, 6, 1), until_on=None, source=SOURCE):
    """Enter a fact of the town's unit."""
    unitfacts.add(
        conn, UNIT, fact, from_on=from_on, until_on=until_on, source=source, stamp=stamp()
    )


@pytest.mark.parametrize(
    ("day", "known"),
    [(date(2024, 5, 31), {}), (date(2024, 6, 1), {"blacklist": ""}), (date(2024, 7, 1), {}),
     (date(2024, 6, 30), {"blacklist": ""})],
)  # fmt: skip
def test_both_days_count(people, day, known):
    """A fact is in force from its first day to its last, both inclusive, however it was ended."""
    with people.begin() as conn:
        enter(conn, until_on=date(2024, 6, 30))
        assert unitfacts.in_force(conn, UNIT, day) == known
        enter(conn, "misconduct")
        unitfacts.end(conn, UNIT, "misconduct", until_on=date(2024, 6, 30), stamp=stamp())
        expected = known | ({"misconduct": ""} if known else {})
        assert unitfacts.in_force(conn, UNIT, day) == expected


@pytest.mark.parametrize("fact", ["blacklist", "misconduct", "bad_credit"])
def test_who_stands_on_a_list_gets_nothing(people, fact):
    """Who is on a blacklist, was sanctioned or has bad credit is refused, and nothing is written;
    when that is over, it is let in."""
    with people.begin() as conn:
        towns.add_contract(conn)
        enter(conn, fact)
        before = ledger.head(conn)
        with pytest.raises(NotEligible, match=f"{fact} is in force on 2024-07-01"):
            towns.add_application(conn)
        assert ledger.head(conn) == before
        unitfacts.end(conn, UNIT, fact, until_on=date(2024, 6, 30), stamp=stamp())
        assert towns.add_application(conn)


def test_a_fact_is_entered_once(people):
    """The same fact is the same; with another source, no word, unknown or the wrong way round it
    is refused."""
    with people.begin() as conn:
        enter(conn)
        before = ledger.head(conn)
        enter(conn)
        for changes, error in (
            ({"source": "hearsay"}, NotAllowed),
            ({"fact": "Black List"}, InvalidInput),
            ({"fact": "x" * 41}, InvalidInput),
            ({"until_on": date(2024, 5, 31)}, InvalidInput),
        ):
            with pytest.raises(error):
                enter(conn, **changes)
        with pytest.raises(InvalidInput, match=r"start_up of .* is not in force on 2024-07-01"):
            unitfacts.end(conn, UNIT, "start_up", until_on=date(2024, 7, 1), stamp=stamp())
        assert ledger.head(conn) == before


def test_a_project_waits_and_is_served(tmp_path):
    """By command: a project's voucher of 30 %, a contract that waits, and who gets its money."""
    home: Home = furnished(tmp_path / "home")
    account = an_account(home)
    at = ("--as-of", "2026-11-22")
    paper = home.path / "contract.pdf"
    paper.write_bytes(b"%PDF")
    facts = ("--category", "joint_national", "--project", "P-1", "--fact", "lead", "--consent")
    said = home.ok(*at, "apply", "HT-1", *facts, "--paper", str(paper))
    assert "joint_national" in said
    home.ok("unit", "fact", "shuzhi", "blacklist", "--from", "2026-11-22", "--source", "court")
    one_line(
        home.run(*at, "review", f"A-{account}", "--confirm", "-o", str(home.path / "r.json")),
        1, "blacklist is in force on 2026-11-22",
    )  # fmt: skip
    home.ok("unit", "fact-end", "shuzhi", "blacklist", "--until", "2026-11-22")
    later = ("--as-of", "2026-11-23")
    home.ok(*later, "review", f"A-{account}", "--confirm", "-o", str(home.path / "r.json"))
    assert '"voucher_fen": 6000000' in (home.path / "r.json").read_text()
    assert home.ok(*later, "waiting", "list", "--json").strip() == "[]"
    end = ("contract", "end", "HT-1", "--on", "2026-12-01", "--paper", str(paper))
    assert "ends on 2026-12-01, 0.00 yuan cancelled" in home.ok(*later, *end)
    assert "nothing" in home.ok(*later, "waiting", "serve")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--fact", "Domestic"], "is no fact"),
        (["--project", ""], "is no name"),
    ],
)
def test_what_is_no_word_is_refused(tmp_path, arguments, word):
    """A fact or project that is no word is wrong usage."""
    done = Home(tmp_path).run("apply", "HT-1", "--paper", "x", *arguments)
    assert (done.exit_code, word in done.stderr) == (2, True)
