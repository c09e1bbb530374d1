"""Bad input to registry and application: refused in one line with the clause, nothing written."""

import json
import sqlite3
from pathlib import Path

import pytest
from homes import Home, furnished, one_line

CODE = "91510100MA6C4TX27W"


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book with a provider, a unit of 10,000,000 yuan of revenue and two contracts."""
    home = furnished(tmp_path / "home")
    run(home, "provider add cdaicc 成都智算中心")
    run(home, f"unit register shuzhi --name 数智 --credit-code {CODE} --revenue 10,000,000"
        " --revenue-year 2025")  # fmt: skip
    sign(home, "HT-1", "2026-11-01")
    sign(home, "HT-0", "2025-12-31")
    paper(home, "signed")
    return home


def run(home: Home, words: str) -> str:
    """Run a command on a day in 2026."""
    return home.ok("--as-of", "2026-11-22", *words.split())


def sign(home: Home, contract: str, day: str, unit: str = "shuzhi") -> None:
    """Sign a contract over 20,000 yuan."""
    run(home, f"contract sign {contract} --unit {unit} --provider cdaicc --fee 20,000"
        f" --signed-on {day} --until 2027-10-31")  # fmt: skip


def paper(home: Home, text: str) -> Path:
    """Write the contract's paper."""
    path = home.path / "HT.pdf"
    path.write_text(text)
    return path


def head(home: Home) -> str:
    """Return the hash of the journal's last entry."""
    with sqlite3.connect(home.path / "book.db") as book:
        [(found,)] = book.execute("SELECT hash FROM journal ORDER BY seq DESC LIMIT 1").fetchall()
    book.close()
    return str(found)


def kept(home: Home) -> list[Path]:
    """List the papers that are kept."""
    return sorted((home.path / "papers").rglob("*"))


def refused(home: Home, words: str, code: int, *said: str) -> None:
    """Check that a command is refused with these words, leaves the book as it was and no paper."""
    before = head(home), kept(home)
    one_line(home.run("--as-of", "2026-11-22", *words.split()), code, *said)
    assert (head(home), kept(home)) == before


def test_a_wrong_credit_code_says_which_digit_was_expected(home: Home) -> None:
    """The check digit that was expected is named."""
    refused(home, "unit register u2 --name u2 --credit-code 91510100MA6C4TX27X", 3,
            "check digit is X, W was expected")  # fmt: skip


def test_a_contract_of_last_year_is_refused_with_the_clause(home: Home) -> None:
    """Signed on 2025-12-31 is a contract of 2025."""
    refused(home, f"apply HT-0 --paper {paper(home, 'x')}", 1, "signed 2025-12-31",
            "[S] 当年签订: signed in the year of the application")  # fmt: skip


def test_a_revenue_one_fen_too_low_is_refused_with_the_clause(home: Home) -> None:
    """9,999,999.99 yuan of revenue is named beside the 10,000,000 that the rules want."""
    run(home, "unit register low --name 低 --credit-code 91350100M000100Y43 --revenue 9,999,999.99"
        " --revenue-year 2025")  # fmt: skip
    sign(home, "HT-2", "2026-11-01", "low")
    refused(home, f"apply HT-2 --paper {paper(home, 'x')}", 1, "9,999,999.99 yuan, chengdu-2023"
            " wants 10,000,000.00 or more ([S] prior-year main-business revenue")  # fmt: skip


def test_two_categories_for_one_contract_are_refused(home: Home) -> None:
    """A contract that was applied for is not applied for in another category."""
    file = paper(home, "x")
    assert "A-CD26-0001: general" in run(home, f"apply HT-1 --paper {file}")
    refused(home, f"apply HT-1 --category joint_national --project P-1 --paper {file}", 1,
            "is for general, not joint_national; one contract has one category")  # fmt: skip


def test_a_paper_that_changed_after_the_review_is_refused(home: Home) -> None:
    """A contract with other bytes than were reviewed is refused with both hashes, and the review
    itself when what is kept was changed."""
    file = paper(home, "signed")
    run(home, f"apply HT-1 --paper {file}")
    [kept] = (home.path / "papers").rglob("*/*")
    paper(home, "changed")
    refused(home, f"apply HT-1 --paper {file}", 1, kept.name, "this one has ")
    kept.write_text("forged")
    refused(home, f"review A-CD26-0001 --confirm -o {home.path}/r.json", 1, kept.name, "has ")
    done = home.run("audit", "--json")
    assert done.exit_code == 5
    assert [row["rule"] for row in json.loads(done.stdout)] == ["papers"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("unit fact shuzhi blaklist --from 2026-11-01 --source x", 3, "did you mean 'blacklist'?"),
        ("unit fact nobody blacklist --from 2026-11-01 --source x", 3, "unit nobody: not in the"),
        ("unit fact-end shuzhi blacklist --until 2026-11-01", 3, "is not in force on 2026-11-01"),
        ("apply HT-1 --paper none.pdf", 3, "paper none.pdf: No such file"),
        ("apply HT-9 --paper {file}", 3, "contract HT-9: not in the book"),
        ("apply HT-1 --paper {file} --category joint", 3, "category 'joint': not in policy"),
        ("apply HT-1 --paper {file} --category joint_national", 1, "name it with --project"),
        ("apply HT-1 --paper {file} --fact domestic_chip", 3, "nothing that the rules ask for"),
        (
            "contract sign HT-3 --unit shuzhi --provider cdaicc --fee 5 --signed-on 2026-11-01"
            " --until 2027-01-01 --part storage=1",
            3,
            "'storage' is nothing that the rules ask for",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(
    home: Home, words: str, code: int, said: str
) -> None:
    """Each of these is refused in one line that says what is wrong."""
    refused(home, words.format(file=paper(home, "x")), code, said)


@pytest.mark.parametrize("part", ["storage", "=5", "storage=x", "storage=-"])
def test_a_part_without_an_amount_is_wrong_usage(home: Home, part: str) -> None:
    """A part is KIND=YUAN."""
    before = head(home)
    words = "contract sign HT-3 --unit shuzhi --provider cdaicc --fee 5 --signed-on 2026-11-01"
    done = home.run(*words.split(), "--until", "2027-01-01", "--part", part)
    assert done.exit_code == 2
    assert head(home) == before


def test_what_is_so_of_a_unit_is_listed(home: Home) -> None:
    """unit facts shows days and source of what was entered and ended."""
    run(home, "unit fact shuzhi blacklist --from 2026-01-01 --source court")
    run(home, "unit fact-end shuzhi blacklist --until 2026-03-31")
    [row] = json.loads(run(home, "unit facts shuzhi --json"))
    assert row == {
        "fact": "blacklist",
        "from": "2026-01-01",
        "until": "2026-03-31",
        "source": "court",
    }
