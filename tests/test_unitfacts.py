"""What is so of a unit counts on its days, and on no other."""

from datetime import date

import pytest
import town as towns
from homes import Home, an_account, furnished, one_line
from town import POLICY, PROVIDER, UNIT, stamp

from accounting import money, policy
from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, NotEligible
from accounting.vouchers import unitfacts

BEIJING = policy.load(policy.builtin("beijing-2023"), "policy beijing-2023")
SHANGHAI = policy.load(policy.builtin("shanghai-2025"), "policy shanghai-2025")
SOURCE = "court of 2024-06-30"


def enter(conn, fact="blacklist", from_on=date(2024, 6, 1), until_on=None, source=SOURCE):
    """Enter a fact of the town's unit."""
    unitfacts.add(
        conn, UNIT, fact, from_on=from_on, until_on=until_on, source=source, policy=POLICY,
        stamp=stamp(),
    )  # fmt: skip


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


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ("blaklist", "'blaklist' is nothing that the rules ask for; did you mean 'blacklist'?"),
        ("related_cdaic", "did you mean 'related_cdaicc'?"),
        ("rich", "they ask for bad_credit, blacklist, misconduct, related_cdaicc, related_nscc"),
    ],
)
def test_a_word_that_no_rule_asks_for_is_refused(people, fact, words):
    """A misspelt fact is refused with the one that was meant, and nothing is written."""
    with people.begin() as conn:
        before = ledger.head(conn)
        with pytest.raises(InvalidInput) as caught:
            enter(conn, fact)
        assert words in str(caught.value)
        assert ledger.head(conn) == before


def test_a_listing_after_the_application_stops_the_issue(people):
    """Who is blacklisted between application and review gets no voucher."""
    with people.begin() as conn:
        towns.add_contract(conn)
        application = towns.add_application(conn)
    with people.begin() as conn:
        enter(conn)
    with pytest.raises(NotEligible, match="blacklist is in force"):
        towns.confirm(people, application)


def test_related_parties_are_refused_where_the_rules_say_so(people):
    """A unit of the provider's own house gets nothing in Beijing, and may in Chengdu."""
    with people.begin() as conn:
        enter(conn, f"related_{PROVIDER}")
        towns.add_contract(conn)
        towns.add_application(conn)
        towns.add_contract(conn, "2024-AI-002")
    with (
        pytest.raises(NotEligible, match=f"related to provider {PROVIDER}, beijing-2023 wants"),
        people.begin() as conn,
    ):
        towns.add_application(conn, "2024-AI-002", policy=BEIJING)


# --- what applications and contracts say of themselves ---------------------------------------


def test_parts_that_are_not_computing_do_not_count(people):
    """Of 1,000,000 with 200,000 for storage, Beijing gives 20 % of 800,000."""
    parts = {"storage": money.fen("200,000")}
    with people.begin() as conn:
        unitfacts.check_parts(BEIJING, "c", parts, money.fen("1,000,000"))
        towns.add_contract(conn, fee_fen=money.fen("1,000,000"), parts_fen=parts)
        towns.add_contract(conn, fee_fen=money.fen("1,000,000"), parts_fen=parts)
        application = towns.add_application(conn, policy=BEIJING)
    voucher = towns.confirm(people, application, rules=BEIJING)
    with people.begin() as conn:
        assert ledger.balance(conn, "voucher.left", voucher) == money.micro("160,000")
    with pytest.raises(NotAllowed, match="stands in the book with other"), people.begin() as conn:
        towns.add_contract(conn, fee_fen=money.fen("1,000,000"))


@pytest.mark.parametrize(
    ("rules", "parts", "words"),
    [
        (BEIJING, {"storge": 1}, "'storge' is nothing that the rules ask for; did you mean 'stora"),
        (POLICY, {"storage": 1}, "they ask for nothing"),
        (BEIJING, {"storage": 0}, "part storage is not above zero"),
        (BEIJING, {"storage": 60, "network": 41}, "its parts are 1.01 yuan, the fee is 1.00"),
    ],
)
def test_odd_parts_are_refused(rules, parts, words):
    """Parts that no rule knows, of nothing, or above the fee are refused."""
    with pytest.raises(InvalidInput) as caught:
        unitfacts.check_parts(rules, "c", parts, 100)
    assert words in str(caught.value)


def test_a_district_adds_its_share(people):
    """With a district's 70 % stated, Shanghai's 30 % become the whole fee."""
    at = stamp("2025-07-01T00:00:00+08:00")
    with people.begin() as conn:
        towns.add_contract(
            conn, fee_fen=money.fen("1,000,000"), signed_on=date(2025, 6, 1),
            last_day=date(2025, 12, 31), policy=SHANGHAI, stamp=at,
        )  # fmt: skip
        application = towns.add_application(
            conn, category=None, policy=SHANGHAI, stated={"district": "70%"}, stamp=at
        )
    voucher = towns.confirm(people, application, at="2025-07-01T00:00:00+08:00", rules=SHANGHAI)
    with people.begin() as conn:
        assert ledger.balance(conn, "voucher.left", voucher) == money.micro("1,000,000")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"distrikt": "70%"}, "did you mean 'district'?"),
        ({"district": "70"}, "application: district: '70' is no share; write 0% to 100%"),
        ({"district": ""}, "application: district: '' is no share"),
    ],
)
def test_odd_statements_are_refused(stated, words):
    """A fact that no rule asks for, or a share that is none, is refused."""
    with pytest.raises(InvalidInput) as caught:
        unitfacts.check_stated(SHANGHAI, stated)
    assert words in str(caught.value)


def test_a_fact_that_is_over_is_not_ended(people):
    """A fact is not ended after its own last day."""
    with people.begin() as conn:
        enter(conn, until_on=date(2024, 6, 30))
        with pytest.raises(InvalidInput, match="is not in force on 2024-07-01"):
            unitfacts.end(conn, UNIT, "blacklist", until_on=date(2024, 7, 1), stamp=stamp())


def test_a_project_waits_and_is_served(tmp_path):
    """By command: a project's voucher of 30 %, a contract that waits, and who gets its money."""
    home: Home = furnished(tmp_path / "home")
    account = an_account(home)
    at = ("--as-of", "2026-11-22")
    paper = home.path / "contract.pdf"
    paper.write_bytes(b"%PDF")
    facts = ("--category", "joint_national", "--project", "P-1", "--consent")
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
