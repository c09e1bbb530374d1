"""What a contract gives follows from the rules, the papers and what was issued before."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
import town as towns
from msgspec.structs import replace
from sqlalchemy import select
from town import ACCOUNT, CONTRACT, NOW, POLICY, REGULATOR, UNIT, VOUCHER, instant, stamp

from accounting import money, period, yamlfile
from accounting.book import ledger, schema, signing
from accounting.errors import InvalidInput, NotAllowed, NotEligible, VoucherError
from accounting.period import SHANGHAI
from accounting.policy import Cap, InKind
from accounting.redeem import acts
from accounting.vouchers import entitling, issuing, registry, waiting

HERE = Path(__file__).parent
APPLICATION = f"A-{ACCOUNT}"
EXAMPLES = yamlfile.read((HERE / "worked/issue.yaml").read_text(encoding="utf-8"), "issue.yaml")


OF_UNIT = POLICY.issue.caps[0]


def with_caps(*caps):
    """Give Chengdu's rules other limits."""
    return replace(POLICY, issue=replace(POLICY.issue, caps=caps))


def contract_and_application(town, name, year=2024, **facts):
    """Sign a contract in July of a year and apply for its voucher; return the application."""
    at = stamp(f"{year}-07-01T10:00:00+08:00")
    facts = {"signed_on": date(year, 6, 1), "last_day": date(year, 12, 31), "stamp": at} | facts
    with town.begin() as conn:
        towns.add_contract(conn, name, **facts)
        return towns.add_application(conn, name, stamp=at)


def issued(town, name, fee, year=2024, rules=POLICY, **facts):
    """Go the whole way from a contract to its voucher; return the voucher's row."""
    application = contract_and_application(
        town, name, year, fee_fen=money.fen(fee), policy=rules, **facts
    )
    voucher = towns.confirm(town, application, at=f"{year}-07-01T10:00:00+08:00", rules=rules)
    with town.begin() as conn:
        return registry.find(conn, "voucher", id=voucher)


@pytest.mark.parametrize("example", EXAMPLES["examples"], ids=lambda example: example["name"])
def test_worked_example(people, example):
    """A contract gives what was worked out by hand, to the fen, or is refused in these words."""
    year = 2025 if example.get("next_year") else 2024
    with people.begin() as conn:
        registry.add_revenue(conn, UNIT, 2024, money.fen("20,000,000"), stamp())
    for i, fee in enumerate(example.get("issued_before", [])):
        issued(people, f"before-{i}", fee)
    if "refused" in example:
        with pytest.raises(VoucherError) as caught:
            issued(people, CONTRACT, example["fee"], year)
        assert example["refused"] in str(caught.value)
        return
    if "waits" in example:
        application = contract_and_application(people, CONTRACT, fee_fen=money.fen(example["fee"]))
        assert towns.confirm(people, application) is None
        with people.begin() as conn:
            [waits] = waiting.listed(conn, POLICY, instant(NOW))
        assert money.yuan(waits["wanted_fen"]) == example["waits"]
        return
    voucher = issued(people, CONTRACT, example["fee"], year)
    found = {"voucher": money.yuan(voucher.amount_fen), "trimmed": bool(voucher.trimmed)}
    assert found == example["expect"]


# --- who may apply ---------------------------------------------------------------------------


def apply_as(town, **unit):
    """Let a unit with these facts apply."""
    with town.begin() as conn:
        towns.add_unit(conn, "applicant", **unit)
        towns.add_contract(conn, unit="applicant")
        return towns.add_application(conn)


def test_revenue_at_the_limit_is_enough(people):
    """10,000,000 yuan of revenue is enough."""
    assert apply_as(people, revenue_fen=money.fen("10,000,000")) == APPLICATION


def test_revenue_one_fen_below_the_limit_is_refused(people):
    """9,999,999.99 yuan of revenue is refused, with figure and limit."""
    with pytest.raises(
        NotEligible,
        match=r"applicant: revenue of 2023 is 9,999,999\.99 yuan, chengdu-2023 wants 10,000,0",
    ):
        apply_as(people, revenue_fen=money.fen("9,999,999.99"))


@pytest.mark.parametrize(("fen", "year"), [(None, None), (10**10, 2022), (10**10, 2024)])
def test_unknown_revenue_is_not_enough(people, fen, year):
    """The revenue must be that of the year before, and known."""
    with pytest.raises(NotEligible, match="no revenue of 2023 is registered; register it with"):
        apply_as(people, revenue_fen=fen, revenue_year=year)


@pytest.mark.parametrize("kind", ["research_institute", "university"])
def test_institutes_need_no_revenue(people, kind):
    """Institutes and universities have no revenue to show."""
    unit = {"kind": kind, "revenue_fen": None, "revenue_year": None}
    assert apply_as(people, **unit) == APPLICATION


def test_a_contract_of_last_year_is_refused(people):
    """A contract signed on the last day of last year is refused, one signed on 1 January not."""
    with pytest.raises(NotEligible, match="signed 2023-12-31, the application is of 2024"):
        contract_and_application(people, "old", signed_on=date(2023, 12, 31))
    assert contract_and_application(people, "new", signed_on=date(2024, 1, 1)) == APPLICATION


def test_the_year_turns_in_chengdu(people):
    """2023-12-31T16:00:00Z is an application of 2024."""
    with people.begin() as conn:
        registry.add_revenue(conn, UNIT, 2022, 10**10, stamp())
        last = stamp("2023-12-31T15:59:59+00:00")
        towns.add_contract(conn, signed_on=date(2023, 12, 31), stamp=last)
        towns.add_application(conn, stamp=last)
        with pytest.raises(NotEligible, match="the application is of 2024"):
            entitling.entitled(conn, "A-CD23-0001", POLICY, instant("2023-12-31T16:00:00+00:00"))


def test_an_unknown_category_is_refused(people):
    """A category that the policy does not have is refused with those that it has."""
    with people.begin() as conn:
        towns.add_contract(conn)
    with (
        pytest.raises(
            InvalidInput,
            match="category 'joint': not in policy chengdu-2023; known: joint_national, ",
        ),
        people.begin() as conn,
    ):
        towns.add_application(conn, category="joint")


def test_a_contract_is_applied_for_once(people):
    """The same application again is the same; with another paper it is refused."""
    contract_and_application(people, CONTRACT)
    with people.begin() as conn:
        before = ledger.head(conn)
        assert towns.add_application(conn) == APPLICATION
        assert ledger.head(conn) == before
    with pytest.raises(NotAllowed, match=r"this one has 0{64}; what ch"), people.begin() as conn:
        towns.add_application(conn, paper_sha256="0" * 64)


@pytest.mark.parametrize("refused", [False, True])
def test_a_paper_is_one_contract(people, refused):
    """The paper of one contract is not handed in for another, unless it was refused there."""
    paper = hashlib.sha256(b"scan").hexdigest()
    with people.begin() as conn:
        for name in ("first", "second"):
            towns.add_contract(conn, name)
        first = towns.add_application(conn, "first", paper_sha256=paper)
    if refused:
        with people.begin() as conn:
            why = (first, "refuse", "wrong contract", POLICY, instant(NOW))
            draft = issuing.draft_review(conn, *why)
        act = people.signed(draft)
        with people.begin() as conn:
            issuing.accept_review(conn, act, POLICY, stamp())
            assert towns.add_application(conn, "second", paper_sha256=paper)
        return
    with (
        pytest.raises(NotAllowed, match=r"contract second: its paper is that of contract first"),
        people.begin() as conn,
    ):
        towns.add_application(conn, "second", paper_sha256=paper)


def test_hours_in_kind_are_told_to_who_issues(people):
    """Where a policy gives card-hours beside the money, carrying the review out says how many: the
    book counts money."""
    rules = replace(POLICY, in_kind=InKind(card_hours=2_000))
    application = contract_and_application(people, CONTRACT)
    with people.begin() as conn:
        draft = issuing.draft_review(conn, application, "confirm", "", rules, instant(NOW))
    signed = signing.sign(draft, people.keys["regulator"])
    _, said = acts.accept(people.engine, signed, acts.Place(rules, people.archive, stamp()))
    assert said.startswith(f"voucher {VOUCHER} issued; 2,000 card-hours in kind are to be given")


# --- what is issued --------------------------------------------------------------------------


def test_a_voucher_is_posted_to_the_fen(town):
    """A voucher stands in the ledger with its whole amount, against the programme."""
    with town.begin() as conn:
        assert ledger.balance(conn, "voucher.left", VOUCHER) == 50_000 * 1_000_000
        assert ledger.balance(conn, "programme", "chengdu-2023") == -50_000 * 1_000_000


@pytest.mark.parametrize(
    ("issued_on", "contract_ends", "last_day"),
    [
        ("2024-07-01", date(2024, 12, 31), "2024-12-31"),
        ("2024-07-01", date(2026, 12, 31), "2025-07-01"),
        ("2024-02-29", date(2026, 12, 31), "2025-02-28"),
        ("2024-02-28", date(2026, 12, 31), "2025-02-28"),
        ("2024-12-31", date(2026, 12, 31), "2025-12-31"),
        ("2024-07-01", date(2024, 7, 1), "2024-07-01"),
    ],
)
def test_validity(people, issued_on, contract_ends, last_day):
    """A voucher is valid from the day of issue to the contract's end, 12 months at most."""
    at = f"{issued_on}T10:00:00+08:00"
    signed = {"signed_on": date.fromisoformat("2024-01-02"), "stamp": stamp(at)}
    with people.begin() as conn:
        towns.add_contract(conn, last_day=contract_ends, **signed)
        application = towns.add_application(conn, stamp=stamp(at))
    voucher = towns.confirm(people, application, at=at)
    with people.begin() as conn:
        row = registry.find(conn, "voucher", id=voucher)

    assert row.from_s == period.instant(date.fromisoformat(issued_on), period.SHANGHAI)
    assert row.until_s == period.bounds(last_day, period.SHANGHAI)[1]


def test_an_ended_contract_gives_nothing(people):
    """On the day after its contract ended, no voucher is issued."""
    application = contract_and_application(people, CONTRACT, last_day=date(2024, 7, 1))
    with pytest.raises(NotEligible, match="it ended before 2024-07-02"):
        towns.confirm(people, application, at="2024-07-02T00:00:00+08:00")


def test_a_waiting_application_lapses_with_its_year(people):
    """A contract of one year never takes the money of the next."""
    application = contract_and_application(people, CONTRACT, last_day=date(2025, 12, 31))
    with pytest.raises(NotEligible, match="the application is of 2025"):
        towns.confirm(people, application, at="2025-01-01T00:00:00+08:00")


def test_the_programme_has_a_limit(people):
    """The one who asks for more than is left waits, and who asks for less is served."""
    rules = with_caps(OF_UNIT, Cap(scope="programme", max_fen=3_000_000, categories=("general",)))
    issued(people, "first", "40,000", rules=rules)
    application = contract_and_application(people, "second", fee_fen=money.fen("20,000.02"))
    assert towns.confirm(people, application, rules=rules) is None
    with people.begin() as conn:
        [waits] = waiting.listed(conn, rules, instant(NOW))
    assert (waits["application"], waits["wanted_fen"]) == (application, money.fen("10,000.01"))
    assert issued(people, "third", "20,000", rules=rules).amount_fen == 1_000_000


def test_a_units_limit_trims_before_the_programme_is_asked(people):
    """Who is trimmed to what is left needs no more, in whatever order the file has the limits."""
    rules = with_caps(Cap(scope="programme", max_fen=150_000_000, categories=("general",)), OF_UNIT)
    voucher = issued(people, CONTRACT, "5,000,000", rules=rules)
    assert (voucher.amount_fen, voucher.trimmed) == (100_000_000, 1)


def test_a_limit_counts_its_own_categories(people):
    """What is issued in a category that a limit does not name leaves the limit alone."""
    with people.begin() as conn:
        towns.add_contract(conn, "joint", fee_fen=money.fen("9,000,000"))
        application = towns.add_application(conn, "joint", category="joint_national", project="P-1")
    towns.confirm(people, application)
    with people.begin() as conn:
        joint = entitling.issued_fen(conn, ("joint_national",), SHANGHAI, year=2024, unit=UNIT)
        assert joint == money.fen("2,700,000")
        assert entitling.issued_fen(conn, ("general",), SHANGHAI, year=2024, unit=UNIT) == 0
    assert issued(people, CONTRACT, "2,000,000").amount_fen == 100_000_000


def test_a_projects_limit_is_for_its_life(people):
    """What a project got in another year, by another contract, counts towards its limit."""
    project = {"category": "joint_national", "project": "P-1"}
    with people.begin() as conn:
        registry.add_revenue(conn, UNIT, 2024, money.fen("20,000,000"), stamp())
    for year, fee, gives in ((2024, "9,000,000", "2,700,000"), (2025, "4,000,000", "300,000")):
        at = f"{year}-07-01T10:00:00+08:00"
        with people.begin() as conn:
            towns.add_contract(
                conn,
                f"of-{year}",
                fee_fen=money.fen(fee),
                signed_on=date(year, 6, 1),
                last_day=date(year, 12, 31),
                stamp=stamp(at),
            )
            application = towns.add_application(conn, f"of-{year}", **project, stamp=stamp(at))
        voucher = towns.confirm(people, application, at=at)
        with people.begin() as conn:
            assert registry.find(conn, "voucher", id=voucher).amount_fen == money.fen(gives)


def test_the_signed_figure_is_what_the_rules_give(people):
    """Where the rules give another figure by the time of import, nothing is issued."""
    first = contract_and_application(people, "first", fee_fen=money.fen("1,200,000"))
    second = contract_and_application(people, "second", fee_fen=money.fen("1,200,000"))
    with people.begin() as conn:
        draft = issuing.draft_review(conn, second, "confirm", "", POLICY, instant(NOW))
    act = people.signed(draft)
    towns.confirm(people, first)
    with (
        pytest.raises(
            NotAllowed, match="signed for 60000000 fen, the rules now give 40000000; draft it again"
        ),
        people.begin() as conn,
    ):
        issuing.accept_review(conn, act, POLICY, stamp())
    with people.begin() as conn:
        assert len(conn.execute(select(schema.voucher)).all()) == 1


def test_a_refused_application_gives_nothing(people):
    """A refusal is kept with its reason and its signer, and no voucher is issued."""
    application = contract_and_application(people, CONTRACT)
    with people.begin() as conn:
        draft = issuing.draft_review(
            conn, application, "refuse", "no contract", POLICY, instant(NOW)
        )
    act = people.signed(draft)
    with people.begin() as conn:
        assert issuing.accept_review(conn, act, POLICY, stamp()) is None
        assert issuing.accept_review(conn, act, POLICY, stamp()) is None
        review = conn.execute(select(schema.review)).one()
        assert conn.execute(select(schema.voucher)).all() == []
        entry = conn.execute(select(schema.journal).filter_by(seq=review.seq)).one()
    assert (review.verdict, review.reason, entry.actor) == (
        "refused",
        "no contract",
        REGULATOR.name,
    )
