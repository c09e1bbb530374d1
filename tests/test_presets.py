"""The policies of other places say what those places give: by their examples, and in a book."""

from datetime import date

import pytest
import town as towns
from sqlalchemy import select

from accounting import money, policy
from accounting.book import ledger, schema
from accounting.errors import NotEligible
from accounting.vouchers import entitling, examples, granting, registry
from accounting.vouchers.granting import Facts

PRESETS = policy.packaged()


def rules_of(name):
    """Load a packaged policy."""
    return policy.load(policy.builtin(name), name)


def given(name, fee, *, on="2025-07-01", issued=0, **facts):
    """Work out what a preset gives an enterprise of means."""
    day = date.fromisoformat(on)
    facts = {
        "name": "contract C",
        "unit": "u",
        "kind": "enterprise",
        "provider": "cdaicc",
        "fee_fen": money.fen(fee),
        "on": day,
        "signed_on": day,
        "revenue_fen": money.fen("10,000,000"),
        "contracts_year_fen": money.fen(fee),
        **facts,
    }
    return granting.grant(rules_of(name), Facts(**facts), lambda _: issued)


@pytest.mark.parametrize("name", PRESETS)
def test_the_examples_of_a_preset_come_out(name):
    """Every example that stands in a packaged policy comes out as it was worked."""
    rules = rules_of(name)
    assert [said for _, said in examples.worked(rules) if said] == []
    assert any(example.gives_fen for example in rules.examples)


@pytest.mark.parametrize("name", PRESETS)
def test_every_rule_of_a_preset_has_a_clause(name):
    """What decides in a packaged policy is said with where it comes from: [S], [D] or [U]."""
    rules = rules_of(name)
    keys = [f"categories.{category}.ratio" for category in rules.categories]
    keys += [f"issue.caps.{i}" for i in range(len(rules.issue.caps))]
    keys += ["contract.signed_in_year", "voucher.settle_days", "deduct.ratio", "rating.states"]
    for key in keys:
        assert rules.clause(key).startswith(("[S]", "[D]", "[U]")), key


TABLE = [
    ("chengdu-2023", "20,000", {}, "10,000"),
    ("chengdu-2023", "5,000,000", {}, "1,000,000"),
    (
        "chengdu-2023",
        "4,000,000",
        {"category": "joint_national", "project": "P"},
        "1,200,000",
    ),
    (
        "chengdu-2023",
        "12,000,000",
        {"category": "joint_national", "project": "P"},
        "3,000,000",
    ),
    (
        "chengdu-2023",
        "6,000,000",
        {"category": "joint_provincial", "project": "P"},
        "1,500,000",
    ),
    ("chengdu-2025", "3,000,000", {}, "1,800,000"),
    ("chengdu-2025", "10,000,000", {}, "5,000,000"),
    ("beijing-2023", "3,000,000", {}, "600,000"),
    ("beijing-2023", "12,000,000", {}, "2,000,000"),
    ("beijing-2023", "1,000,000", {"parts_fen": {"storage": 20_000_000}}, "160,000"),
    ("shanghai-2025", "1,000,000", {}, "300,000"),
    ("shanghai-2025", "1,000,000", {"facts": {"district": "70%"}}, "1,000,000"),
    ("shenzhen-training", "4,000,000", {"on": "2025-03-10"}, "2,000,000"),
    (
        "shenzhen-training",
        "4,000,000",
        {"on": "2025-03-10", "facts": {"start_up": ""}},
        "2,400,000",
    ),
    ("shenzhen-training", "25,000,000", {"on": "2025-03-10"}, "10,000,000"),
    ("shenzhen-model", "1,000,000", {}, "300,000"),
    ("hangzhou-2025", "400,000", {"facts": {"small_firm": ""}}, "200,000"),
    ("hangzhou-2025", "1,000,000", {"facts": {"domestic_chips": ""}}, "300,000"),
    ("hangzhou-2025", "1,000,000", {}, "200,000"),
    ("hangzhou-2025", "40,000,000", {"facts": {"domestic_chips": ""}}, "8,000,000"),
    ("qingyang-2024", "20,000", {}, "6,000"),
    ("qingyang-2024", "10,000,000", {}, "2,000,000"),
    ("henan-2025", "1,000,000", {}, "200,000"),
    ("henan-2025", "333.37", {}, "66.67"),
    ("langfang", "1,000,000", {}, "500,000"),
    ("langfang", "1,000,000", {"facts": {"joint_project": ""}}, "600,000"),
    ("langfang", "3,000,000", {}, "1,000,000"),
    ("wuhan-opc", "300,000", {}, "150,000"),
    ("wuhan-opc", "600,000", {}, "200,000"),
]


@pytest.mark.parametrize(("name", "fee", "facts", "gives"), TABLE)
def test_what_each_place_gives(name, fee, facts, gives):
    """A contract gives to the fen what the place is known to give for it."""
    assert given(name, fee, **facts).wanted_fen == money.fen(gives)


@pytest.mark.parametrize(
    ("name", "fee", "facts", "why"),
    [
        ("chengdu-2023", "19,999.98", {}, "voucher of 9,999.99 yuan, the least is 10,000.00"),
        ("chengdu-2023", "20,000", {"revenue_fen": 999_999_999}, "is 9,999,999.99 yuan"),
        ("beijing-2023", "3,000,000", {"signed_on": date(2023, 8, 31)}, "from 2023-09-01 on"),
        ("beijing-2023", "3,000,000", {"facts": {"related_cdaicc": ""}}, "wants them unrelated"),
        ("shenzhen-training", "4,000,000", {}, "outside the window"),
        ("qingyang-2024", "16,000", {}, "voucher of 4,800.00 yuan, the least is 5,000.00"),
    ],
)
def test_whom_each_place_refuses(name, fee, facts, why):
    """What a place does not give is refused with the figure and the clause."""
    with pytest.raises(NotEligible, match=why):
        given(name, fee, **facts)


def test_several_funders_share_to_the_fen():
    """Province and city share 66.67 as 33.34 and 33.33; a district adds 70 % to the city's 30 %."""
    assert given("henan-2025", "333.37").funders_fen == [("province", 3334), ("city", 3333)]
    assert given("shanghai-2025", "1,000,000", facts={"district": "70%"}).funders_fen == [
        ("city", 30_000_000),
        ("district", 70_000_000),
    ]


def test_how_each_place_pays():
    """Who pays first, who claims and over what the invoice is differ as the places say."""
    said = {
        name: (rules.payment_mode, rules.claimant, rules.invoice_basis)
        for name in PRESETS
        for rules in [rules_of(name)]
    }
    usual = ("prepaid", "provider", "net")
    assert {name: each for name, each in said.items() if each != usual} == {
        "langfang": ("reimburse", "unit", "net"),
        "qingyang-2024": ("prepaid", "provider", "gross"),
        "shenzhen-model": ("reimburse", "unit", "net"),
    }
    assert given("wuhan-opc", "300,000").card_hours == 2000


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_issues_from_a_book(keys, tmp_path, name):
    """The first example of a preset comes out the same when a unit goes the whole way."""
    rules = rules_of(name)
    example = next(each for each in rules.examples if each.gives_fen and not each.issued_fen)
    day = (example.applied_on or date(2024, 7, 1)).isoformat()
    at = f"{day}T10:00:00+08:00"
    engine = ledger.connect(f"sqlite:///{tmp_path / 'book.db'}", must_exist=False)
    towns.found(engine, text=policy.builtin(name))
    town = towns.Town(engine, tmp_path, keys, rules)
    towns.people(town)
    with town.begin() as conn:
        towns.add_unit(conn, "applicant", revenue_fen=None, revenue_year=None)
        registry.add_revenue(conn, "applicant", int(day[:4]) - 1, 10**12, towns.stamp(at))
        account = towns.add_contract(
            conn,
            unit="applicant",
            fee_fen=int(example.fee_fen),
            provider=example.provider or towns.PROVIDER,
            signed_on=example.signed_on or date.fromisoformat(day),
            last_day=date(2030, 12, 31),
            policy=rules,
            stamp=towns.stamp(at),
        )
        application = towns.add_application(
            conn,
            category=example.category,
            project=example.project,
            stated=dict(example.facts),
            policy=rules,
            stamp=towns.stamp(at),
        )
    assert account.startswith(rules.account_prefix)
    voucher = towns.confirm(town, application, at=at)
    with town.begin() as conn:
        assert registry.find(conn, "voucher", id=voucher).amount_fen == example.gives_fen
        shares = conn.execute(select(schema.voucher_funder).filter_by(voucher=voucher)).all()
        assert {share.funder: share.amount_fen for share in shares} == dict(example.funders)
        steps = entitling.application_facts(conn, application, rules, date.fromisoformat(day))
    assert steps.facts == dict(example.facts)
