"""Eight processes on ten accounts for half a minute: nothing is lost, nothing spent twice."""

import multiprocessing
import random
import secrets
import time
import traceback
from collections import Counter
from pathlib import Path

import delivery
import pytest
import town as towns
from delivery import findings
from sqlalchemy import func, select
from town import CLUSTER, NOW, POLICY, UID, Town, instant

from accounting import money
from accounting.book import ledger, schema
from accounting.errors import InsufficientBalance, Unavailable
from accounting.vouchers import holds, releasing

WORKERS, ACCOUNTS, SECONDS = 8, 10, 30
MICRO_PER_YUAN = 1_000_000


def hold(town, account, yuan):
    """Place a hold and return its id."""
    micro = yuan * MICRO_PER_YUAN
    request = holds.Request(secrets.token_hex(16), CLUSTER, account, UID, 1, micro, micro, {})
    with town.begin() as conn:
        holds.place(conn, request, POLICY, instant(NOW))
    return request.id


def post(town, run):
    """Take a run in; one process at a time may, and the others are told to try again."""
    while True:
        try:
            return delivery.take(town, run)
        except Unavailable as error:
            if "is collecting" not in str(error):
                raise
            time.sleep(0.01)


def _work(url, archive, number, accounts, begin, said):
    """Place, post and void holds until the time is over; say what was done, or what went wrong."""
    engine = ledger.connect(url)
    town = Town(engine, Path(archive), {})
    chance, done, job = random.Random(number), Counter(), number * 1_000_000
    begin.wait(60)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            account, yuan, job = chance.choice(accounts), chance.randint(1, 60), job + 1
            try:
                held = hold(town, account, yuan)
            except InsufficientBalance:
                done["refused", account] += 1
                continue
            what = chance.choices(("posted", "voided", "left"), (50, 45, 5))[0]
            if what == "posted":
                post(town, delivery.yuan(job, yuan, hold=held, voucher=account))
            elif what == "voided":
                with town.begin() as conn:
                    releasing.end(conn, held, "*", "voided", 1, instant(NOW), "cancelled")
            done[what, account] += yuan
        said.put(done)
    except Exception:  # noqa: BLE001 - whatever it is, the test says it
        said.put(traceback.format_exc())
    finally:
        engine.dispose()


@pytest.mark.thorough
def test_eight_processes_on_ten_accounts(people):
    """What was posted, and no more, is charged; what is held still is held; no account is
    overspent; nobody is told of a lock; and audit finds nothing."""
    delivery.load_prices(people)
    accounts = []
    for i in range(ACCOUNTS):
        with people.begin() as conn:
            account = towns.add_contract(conn, f"c-{i}", fee_fen=money.fen("20,000"))
            application = towns.add_application(conn, f"c-{i}")
        towns.confirm(people, application)
        with people.begin() as conn:
            towns.pay(conn, "2,000", f"B-{i}", account=account)
        accounts.append(account)
    many = multiprocessing.get_context("spawn")
    url = people.engine.url.render_as_string(hide_password=False)
    people.engine.dispose()
    begin, said = many.Barrier(WORKERS), many.SimpleQueue()
    workers = [
        many.Process(target=_work, args=(url, str(people.archive), i, accounts, begin, said))
        for i in range(1, WORKERS + 1)
    ]
    for worker in workers:
        worker.start()
    told = [said.get() for _ in workers]
    for worker in workers:
        worker.join(60)

    assert [each for each in told if isinstance(each, str)] == []
    done = sum(told, Counter())
    assert min(sum(done[what, a] for a in accounts) for what in ("posted", "voided", "left")) > 0
    live = select(func.coalesce(func.sum(schema.hold.c.live * schema.hold.c.task_micro), 0))
    charged = select(func.coalesce(func.sum(schema.charge.c.charge_micro), 0))
    with people.begin() as conn:
        for account in accounts:
            posted, left = (done[what, account] * MICRO_PER_YUAN for what in ("posted", "left"))
            assert conn.execute(charged.filter_by(account=account)).scalar() == posted
            assert conn.execute(live.where(schema.hold.c.account == account)).scalar() == left
            assert holds.position(conn, account, POLICY).free_cash_fen >= 0
    assert findings(people) == []
