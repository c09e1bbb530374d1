"""Whatever is delivered, corrected, given back and closed or taken back: a month never bears too
much, and what was taken back is owed once."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import delivery
import pytest
from delivery import AFTER, close, run, take, yuan
from test_eligible import MINE, found, freeze, second_voucher
from town import ACCOUNT, Town, stamp

from accounting import policy
from accounting.book import ledger
from accounting.errors import NotAllowed, Refused
from accounting.runs.run import Run
from accounting.settle import known, refunding
from accounting.vouchers import clawback, debts, holds

MONTHS = ("2024-10", "2024-11", "2024-12", "2025-01")
OCTOBER = "2024-10-01T00:00:00+08:00"


def day(random: Random, month: str) -> str:
    """Return a noon of a month."""
    return f"{month}-{random.randint(1, 28):02d}T12:00:00+08:00"


def begin(shop: Town, random: Random) -> None:
    """Leave little on the voucher, or issue a second one, or freeze the unit for a while."""
    if random.random() < 0.5:
        spent = random.choice([90_000, 99_000, 99_990])
        take(shop, yuan(9_999, spent, "2024-09-10T12:00:00+08:00"), at=OCTOBER)
    if random.random() < 0.6:
        begun, ended = (
            f"{random.choice(days)}T00:00:00+08:00"
            for days in (("2024-07-01", "2024-10-15"), ("2024-11-10", "2024-12-15", "2025-02-01"))
        )
        amount = random.choice(["10", "500", "30,000"])
        second_voucher(shop, amount, begun, ended, random.choice(["general", "joint_national"]))
    if random.random() < 0.3:
        freeze(shop, day(random, "2024-11"), random.choice([None, day(random, "2024-12")]))


def act(shop: Town, random: Random, known: dict[int, Run], months: tuple[str, ...]) -> None:
    """Deliver something of this month or an earlier one, correct it or give it back."""
    at = AFTER[months[-1]]
    what = random.random()
    number = random.choice(list(known) or [0])
    if what < 0.5 or not known:
        number, seconds = len(known) + 1, random.choice([36, 3_600, 12_000, 7_777])
        kind = {"cpus": random.choice([1, 3, 100, 997]), "qos": random.choice("ab")}
        known[number] = run(number, seconds, day(random, random.choice(months)), **kind)
        take(shop, known[number], at=at)
    elif what < 0.7:
        changes = {"cpus": random.choice([1, 2, 50, 500]), "qos": random.choice("ab")}
        known[number] = replace(known[number], **changes)
        take(shop, known[number], at=at)
    else:
        lost = known[number]
        key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
        try:
            refunding.refund(shop.engine, shop.archive, key, "lost", shop.policy, stamp(at))
        except Refused as refused:
            assert "refunded already" in str(refused)  # noqa: PT017 - or it is a story's course


def claw_back(shop: Town, random: Random, at: str) -> None:
    """Take a voucher back, and let the unit repay some of what it owes by then."""
    with shop.begin() as conn:
        own = [each.id for each in holds.vouchers(conn, ACCOUNT)]
        draft = clawback.draft(conn, random.choice(own), "forged")
    signed = shop.signed(draft)
    with suppress(NotAllowed), shop.begin() as conn:
        clawback.accept(conn, signed, shop.policy, stamp(at))
    with shop.begin() as conn:
        for debt in debts.listed(conn):
            if debt["left_fen"] > 1:
                debts.pay(
                    conn, debt["id"], amount_fen=debt["left_fen"] // random.choice([1, 2]),
                    reference=f"CZ-{at}-{debt['id']}", paid_on=date(2024, 12, 1),
                    programme=shop.policy.name, stamp=stamp(at),
                )  # fmt: skip


def what_was_taken_back_is_owed(shop: Town) -> None:
    """What is still deducted from vouchers that were taken back is what is owed, or was paid."""
    with shop.begin() as conn:
        gone = holds.taken_back(conn)
        taken = sum(ledger.balance(conn, "voucher.deducted", each) for each in gone)
        due = sum(row["amount_fen"] - row["relieved_fen"] for row in debts.listed(conn))
    assert taken == due * 10_000


def months_add_up(shop: Town) -> None:
    """Each month's fee is the floor of its charges, its deduction no more than half of that."""
    with shop.begin() as conn:
        for month in MONTHS:
            sums = known.stated(conn, ACCOUNT, month)
            assert sums["fee"] == sums["charge"] // 10_000
            assert 0 <= sums["deduction"] <= sums["eligible"] // 10_000 // 2
            assert sum(known.borne_of(conn, ACCOUNT, month).values()) == sums["deduction"]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12))
def test_a_month_never_bears_too_much(
    made: Path, keys: Mapping[str, Mapping[str, str]], tmp_path: Path, seed: int
) -> None:
    """After every close fee and deduction of each month are what its runs entitle to, and less
    where vouchers do not last; and the whole of it replays."""
    shutil.copy(made / "town.db", tmp_path / "book.db")
    engine = ledger.connect(f"sqlite:///{tmp_path / 'book.db'}", durable=False)
    shop = Town(engine, tmp_path / "archive", keys, policy.load(MINE, "policy"))
    delivery.load_prices(shop)
    random, known = Random(seed), dict[int, Run]()
    begin(shop, random)
    for place, month in enumerate(MONTHS, 1):
        for _ in range(random.randint(1, 5)):
            act(shop, random, known, MONTHS[:place])
        if random.random() < 0.3:
            claw_back(shop, random, AFTER[month])
        close(shop, month)
        months_add_up(shop)
        what_was_taken_back_is_owed(shop)

    assert found(shop) == []
    engine.dispose()
