"""A policy file is read to the letter, or refused with its place and a way out."""

import pytest

from accounting import policy
from accounting.errors import ConfigInvalid

TEXT = policy.builtin("chengdu-2023")
RULES = TEXT.split("\n\nclauses:")[0]
LATER = {
    "eligibility",
    "allocation",
    "invoice",
    "on_insufficient",
    "on_ineligible",
    "redeem",
    "reserve",
    "refund",
}
"""Parts that the first release did not have: books of that time have policies without them."""


def refusal(text):
    """Return why a policy is refused."""
    with pytest.raises(ConfigInvalid) as caught:
        policy.load(text, "p.yaml")
    return str(caught.value)


def changed(old, new):
    """Change one place of Chengdu's policy."""
    assert RULES.count(old) == 1, old
    return RULES.replace(old, new)


def test_chengdu_2023_is_what_the_rules_say():
    """The packaged policy has the figures of 成经信办〔2023〕20号."""
    rules = policy.load(TEXT, "policy chengdu-2023")

    assert (rules.name, rules.source) == ("chengdu-2023", "成经信办〔2023〕20号")
    assert (rules.timezone, rules.account_prefix, rules.contract.signed_in_year) == (
        "Asia/Shanghai",
        "CD",
        True,
    )
    assert (rules.issue.min_fen, rules.months_max, rules.deduct_ratio_bp) == (1_000_000, 12, 5000)
    general = rules.categories["general"]
    assert (general.ratio_bp, general.revenue_min_fen) == (5000, 1_000_000_000)
    assert general.revenue_test_applies_to == ("enterprise",)
    assert [(cap.scope, cap.max_fen) for cap in rules.issue.caps] == [
        ("unit", 100_000_000),
        ("project", 300_000_000),
        ("project", 150_000_000),
        ("programme", 1_000_000_000),
    ]
    assert rules.vat_bp == 600


@pytest.mark.parametrize(
    ("states", "how"),
    [
        ("COMPLETED FAILED TIMEOUT CANCELLED OUT_OF_MEMORY DEADLINE REQUEUED RESIZING", "charged"),
        ("NODE_FAIL BOOT_FAIL LAUNCH_FAILED PREEMPTED", "free"),
        ("REVOKED", "no_run"),
    ],
)
def test_every_state_that_is_named_has_one_meaning(states, how):
    """What the platform broke is free, what ran is charged, and no other state is known."""
    known = policy.load(TEXT, "p").states
    assert [state for state, meaning in known.items() if meaning == how] == states.split()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "account_prefix:",
            "acount_prefix:",
            "key 'acount_prefix' is unknown; did you mean 'account_prefix'?",
        ),
        (
            "months_max:",
            "month_max:",
            "voucher: key 'month_max' is unknown; did you mean 'months_max'?",
        ),
        (
            "revenue_min:",
            "revenue:",
            "categories.general: key 'revenue' is unknown; did you mean 'revenue_min'?",
        ),
        ("vat: 6%", "vat: 6", "payment.vat: 6 stands where text"),
        ("vat: 6%", "vat: 101%", "payment.vat: '101%' is no share; write 0% to 100%, as in 50%"),
        ("vat: 6%", "vat: -6%", "payment.vat: '-6%' is no share"),
        ("vat: 6%", "vat: 6.125%", "payment.vat: '6.125%' is no share"),
        ("vat: 6%", "vat: 六%", "payment.vat: '六%' is no share"),
        ("vat: 6%", "vat: ６%", "payment.vat: '６%' is no share"),
        (
            "  months_max: 12\n",
            "",
            "voucher: key 'months_max' is missing; add it as a whole number",
        ),
        ("months_max: 12", "months_max: 0", "voucher.months_max: 0 is not above zero"),
        (
            "months_max: 12",
            'months_max: "12"',
            "voucher.months_max: '12' stands where a whole number belongs",
        ),
        ("settle_days: 45", "settle_days: -1", "voucher.settle_days: -1 is not above zero"),
        ('min: "10,000"', "min: 10000", "issue.min: 10000 stands where text"),
        ('min: "10,000"', 'min: "10.000"', "issue.min: '10.000' is no amount"),
        (
            "min_test: before_caps",
            "min_test: later",
            "issue.min_test: 'later' is unknown; known: after_caps, before_caps",
        ),
        (
            "mode: prepaid",
            "mode: credit",
            "payment.mode: 'credit' is unknown; known: postpaid, p",
        ),
        (
            "scope: unit",
            "scope: city",
            "issue.caps[0].scope: 'city' is unknown; known: programme, project, unit",
        ),
        (
            "{scope: unit, per: year,",
            "{scope: unit, per: month,",
            "issue.caps[0].per: 'month' is unknown",
        ),
        (
            '"1,000,000", categories: [general]',
            '"1,000,000", categories: [genral]',
            "issue.caps[0].categories: 'genral' is unknown; known: joint_national",
        ),
        (
            '"1,000,000", categories: [general]',
            '"1,000,000", categories: []',
            "issue.caps[0].categories: 0 are named, a limit needs 1; known: joint_national",
        ),
        (
            "{scope: unit, per: year,",
            "{scope: project, per: year,",
            "issue.caps[0].categories: 'general' is for no project; limit the unit",
        ),
        (
            '"1,000,000", categories: [general]',
            '"1,000,000", categories: [[general]]',
            "issue.caps[0].categories[0]: ['general'] stands where",
        ),
        (
            "applies_to: [enterprise]",
            "applies_to: [company]",
            "revenue_test_applies_to[0]: 'company' is unknown; known: enterprise, res",
        ),
        (
            "signed_in_year: true",
            "signed_in_year: 1",
            "contract.signed_in_year: 1 stands where true or false belongs",
        ),
        (
            "timezone: Asia/Shanghai",
            "timezone: Asia/Chengdu",
            "timezone: time zone 'Asia/Chengdu' is unknown",
        ),
        (
            "account_prefix: CD",
            'account_prefix: "C%"',
            "account_prefix: 'C%' begins no account; use 1 to 8 capital",
        ),
        (
            "no_run: [REVOKED]",
            "no_run: [COMPLETED]",
            "rating.states: state COMPLETED is given twice; keep one",
        ),
        (
            "no_run: [REVOKED]",
            "no_run: [[REVOKED]]",
            "rating.states.no_run[0]: ['REVOKED'] stands where text",
        ),
        (
            "no_run: [REVOKED]",
            "norun: [REVOKED]",
            "rating.states: key 'norun' is unknown; did you mean 'no_run'?",
        ),
        (
            "  general:\n",
            "  general: 1\n  x:\n",
            "categories.general: 1 stands where a mapping",
        ),
    ],
)
def test_bad_policies_are_refused_with_their_place(old, new, message):
    """What is wrong in a policy file is said in one line that begins with where it stands."""
    said = refusal(changed(old, new))
    assert said.startswith("p.yaml: ")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("part", RULES.split("\n\n")[1:], ids=lambda part: part.split(":")[0])
def test_no_part_may_be_left_out(part):
    """Every part of the first release must be there; what came later has the value it had then."""
    name = part.split(":")[0]
    if name in LATER:
        assert policy.load(RULES.replace(part, ""), "p.yaml").name == "chengdu-2023"
        return
    said = refusal(RULES.replace(part, ""))
    assert said == f"p.yaml: key '{name}' is missing; add it as a mapping"


def test_a_packaged_policy_is_found_by_name():
    """A policy that is not packaged is refused with the list of those that are."""
    with pytest.raises(
        ConfigInvalid, match="policy 'chengdu': not packaged, and no file; known: beijing-2023, "
    ):
        policy.builtin("chengdu")
