"""redeem/funding.py: what each of several offices pays of claims, to the fen, over all of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import delivery
import pytest
import town as towns
from delivery import DECEMBER, close, invoice, open_claim, pay_out, review, run, submit, take
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from test_packing import content, packed
from town import ACCOUNT, PROVIDER, VOUCHER, Town

from accounting import policy
from accounting.forms import claim as paper_of_claim
from accounting.forms import programme
from accounting.redeem import checking, funding, packet

LINES = [f"S-{ACCOUNT}-2024-11/{i}" for i in (1, 2, 3)]
CLAIMS = [f"C-{PROVIDER}-2024-Q4-{i}" for i in (1, 2, 3, 4)]


@pytest.fixture
def shop(blank: Engine, keys: Mapping[str, Mapping[str, str]], tmp_path: Path) -> Iterator[Town]:
    """The town by Henan's rules, province and city alike, after three lines of 100.01 each."""
    text = policy.builtin("henan-2025")
    for old, new in (("policy: henan-2025", "policy: mine"), ("prefix: HN", "prefix: CD")):
        assert old in text
        text = text.replace(old, new)
    own = towns.by(blank, tmp_path, keys, text)
    delivery.load_prices(own)
    take(own, *(run(i, 36, cpus=50_005, qos=qos) for i, qos in enumerate("abc", 1)))
    close(own, "2024-11")
    invoice(own, "2024-11")
    assert delivery.lines(own, "2024-11", "deduction_fen") == [(10_001,)] * 3
    yield own
    assert delivery.findings(own) == []


def parts(town: Town) -> dict[str, dict[str, int]]:
    """Return what funders pay of each claim."""
    with town.begin() as conn:
        return funding.of_claims(conn, town.policy.name)


def one_line_approved(town: Town, i: int) -> None:
    """Claim all that is left, and have the first line of it alone approved."""
    assert open_claim(town) == CLAIMS[i]
    submit(town, CLAIMS[i])
    review(town, CLAIMS[i], dict.fromkeys(LINES[i + 1 :], "no log"))


def half(more: int, less: int) -> dict[str, int]:
    """Return what province and city pay."""
    return {"province": more, "city": less}


def test_an_odd_fen_does_not_fall_on_the_same_office(shop: Town) -> None:
    """Three claims of 100.01: the province pays 50.01, 50.00 and 50.01, the city the rest; of all
    that was approved nobody pays more than a fen above the other."""
    for i in range(3):
        one_line_approved(shop, i)
    told = [half(5_001, 5_000), half(5_000, 5_001), half(5_001, 5_000)]

    assert parts(shop) == dict(zip(CLAIMS, told, strict=False))
    for i in (2, 0, 1):
        pay_out(shop, CLAIMS[i])
    assert parts(shop) == dict(zip(CLAIMS, told, strict=False))


def test_a_credit_goes_back_to_who_paid(shop: Town) -> None:
    """Three lines approved at once are 150.02 and 150.01; a credit of 100.01 off them leaves half
    of 200.02 with each."""
    submit(shop, open_claim(shop))
    assert parts(shop) == {CLAIMS[0]: half(15_002, 15_001)}
    review(shop, CLAIMS[0])
    pay_out(shop, CLAIMS[0])
    take(
        shop,
        run(1, 36, cpus=50_005, qos="a", state="NODE_FAIL"),
        run(9, 36, DECEMBER, cpus=90_000),
        at=DECEMBER,
    )
    close(shop, "2024-12")
    invoice(shop, "2024-12")
    open_claim(shop)
    assert delivery.claim(shop, CLAIMS[1])["amount_fen"] == 18_000 - 10_001

    assert parts(shop)[CLAIMS[1]] == half(3_999, 4_000)


def test_a_packet_says_what_each_pays_after_earlier_claims(shop: Town, tmp_path: Path) -> None:
    """The second packet says what was borne before, proves itself by it, and is the same later."""
    one_line_approved(shop, 0)
    open_claim(shop)
    out = packed(shop, tmp_path, CLAIMS[1])
    summary = json.loads(content(out)[packet.SUMMARY])
    assert summary["before_fen"] == {VOUCHER: 10_001}
    assert summary["by_funder_fen"] == half(10_001, 10_001)
    assert checking.check(out).findings == []
    before = out.read_bytes()
    submit(shop, CLAIMS[1])
    review(shop, CLAIMS[1], {LINES[2]: "no log"})

    assert packed(shop, tmp_path, CLAIMS[1]).read_bytes() == before


def test_papers_say_it(shop: Town) -> None:
    """The claim's paper has what each pays of it, the programme's what each gave, what of it is
    approved and what paid."""
    one_line_approved(shop, 0)
    pay_out(shop, CLAIMS[0])
    one_line_approved(shop, 1)
    with shop.begin() as conn:
        head = {f.name: f.value for f in paper_of_claim.paper(conn, CLAIMS[0], shop.policy).fields}
        report = programme.paper(conn, 2024, shop.policy, towns.instant(DECEMBER))
    assert (head["province承担"], head["city承担"]) == (5_001, 5_000)
    assert report.tables[-1].rows == (
        ("province", 1_000_000, 10_001, 5_001),
        ("city", 1_000_000, 10_001, 5_000),
    )


@given(st.lists(st.integers(1, 10_000), min_size=1), st.integers(1, 9), st.integers(1, 9))
def test_a_voucher_that_is_used_up_cost_each_what_it_gave(
    claims: list[int], province: int, city: int
) -> None:
    """Whatever the claims: their parts add up to each, and all of them to what funders gave, where
    what they gave is the voucher's own split."""
    share = funding.by_funder({"V": sum(claims)}, {}, {"V": [("p", province), ("c", city)]}, "x")
    given_fen = {"V": list(share.items())}
    before, total = 0, {"p": 0, "c": 0}
    for fen in claims:
        part = funding.by_funder({"V": fen}, {"V": before}, given_fen, "x")
        assert sum(part.values()) == fen
        assert min(part.values()) >= 0
        before += fen
        total = {name: total[name] + part[name] for name in total}
    assert total == share
