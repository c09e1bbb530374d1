"""slurm_voucher/voucherd.py: every question has an answer, and the socket is slurmctld's alone."""

import asyncio
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote

import delivery
import pytest
import town as towns
from fakeslurm import CLUSTER, FakeSlurm, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select
from town import ACCOUNT, NOW, UID, UNIT, instant

from accounting.book import ledger, schema
from accounting.errors import ConfigInvalid, SlurmUnavailable
from accounting.vouchers import holds, registry, releasing
from slurm_voucher import (
    active,
    config,
    desk,
    listening,
    looking,
    protocol,
    reconcile,
    serving,
)
from slurm_voucher.voucherd import Voucherd

NOW_S = instant(NOW)
HOLD = "0" * 31 + "1"
OTHER = "CD24-0099"
OTHER_HOLD = "0" * 31 + "2"
CARD_HOUR = 11_280_000
"""376 TFLOPS for an hour at 30 yuan per PFLOPS·hour, micro-yuan."""
JOB = {"hold": HOLD, "uid": str(UID), "voucher": ACCOUNT, "partition": "ai", "time_limit": "60",
       "tres_per_node": "gres/gpu:ascend_910b:1"}  # fmt: skip


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """Slurm's commands, which repeat what was recorded."""
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def place():
    """A folder that every user may enter, with a short path, as a socket needs."""
    folder = Path(tempfile.mkdtemp(prefix="vd"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def site(town, slurm, place) -> config.Config:
    """The settings of a site with the town's book."""
    book = town.engine.url.render_as_string(hide_password=False)
    return config.Config(
        place, book, town.archive, place / "papers", str(place / "s"), 0, 60, "normal"
    )


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> None:
    """What others write is seen with the next question."""
    monkeypatch.setattr(desk, "FRESH_S", 0)


@pytest.fixture
def daemon(site):
    """A voucherd that is asked without a socket."""
    daemon = Voucherd(site)
    yield daemon
    daemon.engine.dispose()


def line(verb: str, fields: dict[str, str]) -> bytes:
    """Write a question as the hook does."""
    pairs = "".join(f" {key}={protocol.encode(value)}" for key, value in fields.items())
    return f"1 {verb}{pairs}\n".encode()


def load_rules(daemon: Voucherd) -> None:
    """Let a voucherd go on by the price list that is in force now, as a look at the queue does."""
    daemon.desk.follow(looking.rules(daemon.engine, CLUSTER))


def read(answer: bytes) -> dict[str, str]:
    """Read an answer as the hook does."""
    assert answer.endswith(b"\n")
    assert len(answer) <= protocol.ANSWER_BYTES_MAX
    version, word, *pairs = answer.decode("ascii").rstrip("\n").split(" ")
    assert version == "1"
    return {"word": word} | {key: unquote(v) for key, v in (pair.split("=") for pair in pairs)}


def ask(daemon: Voucherd, verb: str, now_s: int = NOW_S, **fields: str) -> dict[str, str]:
    """Ask a voucherd, let it write, and read its answer."""
    answer = read(daemon.answer(line(verb, fields), now_s))
    daemon.desk.flush()
    assert len(answer.get("say", "").encode()) <= protocol.SAY_BYTES_MAX
    return answer


def held(town) -> list[tuple[str, int]]:
    """Return every hold of the book, whether live or not, and its amount."""
    with town.begin() as conn:
        rows = conn.execute(select(schema.hold).order_by(schema.hold.c.id))
        return [(each.id, each.tasks * each.task_micro) for each in rows]


def bind(town, job_id: int, hold_id: str = HOLD) -> None:
    """Let the queue have shown the job of a hold."""
    with town.begin() as conn:
        releasing.bind(conn, hold_id, "chengdu", job_id, NOW_S, NOW_S)


# --- HOLD ------------------------------------------------------------------------------------


def test_hold(daemon, town) -> None:
    """A HOLD is taken, its id and amount come back, and one sentence says what is left."""
    assert ask(daemon, "HOLD", **JOB) == {
        "word": "YES",
        "hold": HOLD,
        "held": str(CARD_HOUR),
        "say": f"voucher {ACCOUNT}: held 11.28 yuan, 99,988.72 is left",
    }
    assert held(town) == [(HOLD, CARD_HOUR)]


def test_hold_of_an_array(daemon, town) -> None:
    """An array is one hold for all its tasks."""
    assert ask(daemon, "HOLD", **JOB, array="1-10%2")["held"] == str(10 * CARD_HOUR)


def priced(daemon, town, partition: str, name: str = "one-1", discounts: str = "{}") -> None:
    """Bring a price list with one partition into force."""
    text = towns.TARIFF.partition("clusters:")[0].replace("cd-2024-1", name)
    text += f"discounts: {discounts}\n"
    text += f"clusters: {{chengdu: {{partitions: {{ai: {{provider: cdaicc, {partition}}}}}}}}}"
    delivery.load_prices(town, text, name)
    load_rules(daemon)


def test_hold_with_a_discount(daemon, town) -> None:
    """A hold is for what the account pays, by a discount of its own or of its unit."""
    with town.begin() as conn:
        code = towns.registry.credit_codes(conn)[ACCOUNT]
    prices = 'gres: {"gpu:ascend_910b": ascend_910b2}, prices: [{from: 2023-07-01, yuan_per_'
    for i, (name, held) in enumerate([(ACCOUNT, "2820000"), (code, "2820000"), (OTHER, "3760000")]):
        discount = f'{{"{name}": [{{from: 2024-01-01, factor: "0.75"}}]}}'
        priced(daemon, town, f'{prices}pflops_hour: "10.00"}}]', f"d-{i}", discount)

        assert ask(daemon, "HOLD", **JOB | {"hold": f"{i:032x}"})["held"] == held


def test_hold_by_the_node(daemon, town) -> None:
    """Where nodes are priced, a hold is for the most nodes that the job can get."""
    priced(daemon, town, 'prices: [{from: 2023-07-01, yuan_per_node_hour: "6.50"}]')
    job = {key: value for key, value in JOB.items() if key != "tres_per_node"}

    assert ask(daemon, "HOLD", **job, num_tasks="64")["held"] == "13000000"


TWO_PARTS = """
      ai: {provider: cdaicc, gres: {"gpu:ascend_910b": ascend_910b2},
           prices: [{from: 2023-07-01, yuan_per_pflops_hour: "30.00"}]}
      sc: {provider: cdaicc, gres: {"gpu:ascend_910b": ascend_910b2},
           prices: [{from: 2023-07-01, yuan_per_pflops_hour: "60.00"}]}
"""


@pytest.mark.parametrize("names", ["ai,sc", "sc,ai"])
def test_hold_of_several_partitions_is_the_dearest(daemon, town, names: str) -> None:
    """A job that may run in two partitions is held for in the dearer one, and is told so."""
    text = towns.TARIFF.partition("clusters:")[0].replace("cd-2024-1", "two-1")
    delivery.load_prices(town, f"{text}clusters:\n  chengdu:\n    partitions:{TWO_PARTS}", "two-1")
    load_rules(daemon)
    answer = ask(daemon, "HOLD", **JOB | {"partition": names})

    assert answer["held"] == str(2 * CARD_HOUR)
    assert "held 22.56 yuan for the dearest it may get, " in answer["say"]


def test_partitions_of_two_providers_are_refused(daemon, town) -> None:
    """A voucher is for one provider; a job that may run at another's is refused in words."""
    two = TWO_PARTS.replace("sc: {provider: cdaicc", "sc: {provider: nscc-cd")
    text = towns.TARIFF.partition("clusters:")[0].replace("cd-2024-1", "two-2")
    delivery.load_prices(town, f"{text}clusters:\n  chengdu:\n    partitions:{two}", "two-2")
    load_rules(daemon)
    answer = ask(daemon, "HOLD", **JOB | {"partition": "ai,sc"})

    assert answer["code"] == "not_eligible"
    assert "partition ai,sc: are of 2 providers, a voucher is for 1" in answer["say"]


def test_hold_of_a_share_of_a_node(daemon, town) -> None:
    """Where shares are priced, memory that nobody asked for is held as all of the node's."""
    node = 'footprint: max_share, node: {cpus: 100, mem_gb: 10, cards: {"gpu:ascend_910b": 8}}'
    priced(
        daemon, town, f'{node}, gres: {{"gpu:ascend_910b": ascend_910b2}}, '
        'prices: [{from: 2023-07-01, yuan_per_node_hour: "8.00"}]',
    )  # fmt: skip
    given = JOB | {"hold": "0" * 31 + "2", "mem_per_node_mb": "5120"}

    assert ask(daemon, "HOLD", **JOB)["held"] == "8000000"
    assert ask(daemon, "HOLD", **given)["held"] == "4000000"


def test_same_hold_twice_is_one(daemon, town) -> None:
    """A HOLD that is asked again gets the same answer and is one hold."""
    first = ask(daemon, "HOLD", **JOB)

    assert ask(daemon, "HOLD", now_s=NOW_S + 5, **JOB) == first
    assert held(town) == [(HOLD, CARD_HOUR)]


def test_same_hold_after_a_restart_is_one(daemon, site, town) -> None:
    """A HOLD that is asked again of a restarted voucherd gets the same answer."""
    first = ask(daemon, "HOLD", **JOB)
    daemon.engine.dispose()
    again = Voucherd(site)
    again.desk.warm(NOW_S + 9, 1)

    assert ask(again, "HOLD", NOW_S + 9, **JOB)["say"] == first["say"]
    assert held(town) == [(HOLD, CARD_HOUR)]
    again.engine.dispose()


def test_holds_of_late_are_remembered_and_no_more(daemon, monkeypatch) -> None:
    """Of many holds the last alone are in memory: slurmctld asks again soon, or never."""
    monkeypatch.setattr(desk, "RECENT_MAX", 2)
    for number in range(1, 6):
        ask(daemon, "HOLD", **JOB | {"hold": f"{number:032x}"})

    assert [*daemon.desk._recent] == [f"{number:032x}" for number in (4, 5)]


def test_id_of_another_job_is_refused(daemon) -> None:
    """An id that stands for another user's hold is refused."""
    ask(daemon, "HOLD", **JOB)
    with daemon.engine.begin() as conn:
        towns.registry.add_member(
            conn, towns.UNIT, cluster="chengdu", uid=7, from_s=NOW_S, until_s=None,
            stamp=towns.stamp(),
        )  # fmt: skip

    assert ask(daemon, "HOLD", **JOB | {"uid": "7"})["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("changes", "code", "say"),
    [
        ({"voucher": "CD99-0009"}, "not_eligible", "voucher 'CD99-0009': not known"),
        ({"uid": "4242"}, "not_allowed", "belongs to another unit than user 4242's"),
        ({"partition": "sc"}, "tariff_missing", "partition sc: has no price for vouchers"),
        ({"partition": "x" * 3000}, "not_eligible", "not known here"),
        ({"time_limit": "600000"}, "insufficient_balance", "available; ask for less time"),
        ({"tres_per_node": ""}, "tariff_missing", "is priced by cards"),
        ({"tres_per_node": "gpu:a:b:c"}, "invalid_input", "gres 'gpu:a:b:c': cannot be read"),
        ({"uid": "root"}, "invalid_input", "uid 'root': is no whole number"),
        ({"array": "0-3999999"}, "insufficient_balance", "this job may cost"),
        ({"num_tasks": "9" * 10, "tres_per_task": "gpu:999999999"}, "", ""),
    ],
)
def test_refusals(daemon, town, changes, code: str, say: str) -> None:
    """What may not be held is refused with a code and a sentence, and nothing is held."""
    answer = ask(daemon, "HOLD", **JOB | changes)

    assert (answer["word"], answer["hold"]) == ("NO", HOLD)
    assert code in answer["code"] != "internal"
    assert say in answer["say"]
    assert held(town) == []


def test_who_may_is_asked_again_when_that_changes_by_itself(daemon, town) -> None:
    """A user who was let in is refused from the second on in which the membership ends, which was
    entered before; and is let in again where the clock is put back."""
    with town.begin() as conn:
        registry.end_member(
            conn, UNIT, cluster="chengdu", uid=UID, until_s=NOW_S + 60, stamp=towns.stamp()
        )
    words = [
        ask(daemon, "HOLD", NOW_S + after_s, **JOB | {"hold": f"{after_s:032x}"})["word"]
        for after_s in (1, 59, 60, 61, 2)
    ]

    assert words == ["YES", "YES", "NO", "NO", "YES"]


@pytest.mark.parametrize("changes", [{"hold": None}, {"uid": None}, {"voucher": ""}])
def test_hold_without_its_names_is_refused(daemon, changes) -> None:
    """A HOLD that lacks hold or uid, or names an empty voucher, is refused."""
    fields = {key: value for key, value in (JOB | changes).items() if value is not None}

    assert ask(daemon, "HOLD", **fields)["code"] == "invalid_input"


NAMELESS = {key: value for key, value in JOB.items() if key != "voucher"}


def test_only_account_is_the_default(daemon, town) -> None:
    """A job that names no voucher is held for on the one account that its user has there."""
    assert ask(daemon, "HOLD", **NAMELESS) == {
        "word": "YES",
        "hold": HOLD,
        "voucher": ACCOUNT,
        "held": str(CARD_HOUR),
        "say": f"voucher {ACCOUNT} (yours here): held 11.28 yuan, 99,988.72 is left",
    }
    assert held(town) == [(HOLD, CARD_HOUR)]


@pytest.mark.parametrize(
    "changes",
    [
        {"partition": "sc"},
        {"partition": "ai,sc"},
        {"partition": "gone"},
        {"uid": "4242"},
        {"uid": "4242", "partition": "whole", "time_limit": None},
        {"uid": "4242", "tres_per_node": "gpu:a:b:c"},
    ],
)
def test_job_that_no_voucher_is_for(daemon, town, changes) -> None:
    """Where nothing is priced, or the user has no account, a job without a voucher goes on."""
    fields = {key: value for key, value in (NAMELESS | changes).items() if value is not None}
    assert ask(daemon, "HOLD", **fields) == {
        "word": "YES",
        "hold": HOLD,
        "voucher": "-",
    }
    assert held(town) == []


def test_site_that_wants_a_voucher(daemon, town) -> None:
    """Where a site says so, a job without a voucher and without just one account is refused."""
    daemon.desk.without_voucher = "refuse"
    answer = ask(daemon, "HOLD", **NAMELESS | {"uid": "4242"})

    assert (answer["word"], answer["code"]) == ("NO", "not_eligible")
    assert answer["say"] == (
        "voucher: this job names none and 0 are possible; give --voucher=ID or ask your unit"
    )
    assert ask(daemon, "HOLD", **NAMELESS | {"partition": "ai,sc"})["word"] == "NO"
    assert ask(daemon, "HOLD", **NAMELESS | {"partition": "sc"})["voucher"] == "-"


def test_hold_is_taken_back(daemon, town) -> None:
    """A hold whose job will not be is given back; another user's DROP changes nothing."""
    first = ask(daemon, "HOLD", **JOB)
    ask(daemon, "DROP", hold=HOLD, uid="4242")
    again = ask(daemon, "HOLD", **JOB | {"hold": OTHER_HOLD})
    assert ask(daemon, "DROP", hold=OTHER_HOLD, uid=str(UID)) == {
        "word": "YES",
        "hold": OTHER_HOLD,
    }

    assert again["say"] != first["say"]
    with town.begin() as conn:
        assert [row.id for row in conn.execute(holds.LIVE)] == [HOLD]
    third = ask(daemon, "HOLD", **JOB | {"hold": "0" * 31 + "3"})
    assert third["say"] == again["say"]


def test_hold_is_taken_back_before_it_is_written(daemon, town) -> None:
    """A hold and its DROP that reach the book together leave nothing held."""
    daemon.answer(line("HOLD", JOB), NOW_S)
    daemon.answer(line("DROP", {"hold": HOLD, "uid": str(UID)}), NOW_S)
    second = read(daemon.answer(line("HOLD", JOB | {"hold": OTHER_HOLD}), NOW_S))
    daemon.desk.flush()

    assert second["say"].endswith("held 11.28 yuan, 99,988.72 is left")
    with town.begin() as conn:
        assert [row.id for row in conn.execute(holds.LIVE)] == [OTHER_HOLD]


def test_what_others_write_is_seen(daemon, town) -> None:
    """A payment, and a hold that somebody else took or ended, count for the next question."""
    said = [ask(daemon, "HOLD", **JOB)["say"]]
    with town.begin() as conn:
        releasing.end(conn, HOLD, "*", "voided", 1, NOW_S, "gone")
    said.append(ask(daemon, "HOLD", **JOB | {"hold": OTHER_HOLD})["say"])
    with town.begin() as conn:
        towns.pay(conn, "100.00", "BANK-2")
    said.append(ask(daemon, "HOLD", **JOB | {"hold": "0" * 31 + "3"})["say"])

    assert [each.rpartition(", ")[2] for each in said] == [
        "99,988.72 is left",
        "99,988.72 is left",
        "100,077.44 is left",
    ]


def test_what_others_write_is_looked_for_after_an_answer(daemon, town, monkeypatch) -> None:
    """Shortly before it is due voucherd looks while nobody waits, and no question has to."""
    monkeypatch.setattr(desk, "FRESH_S", 60)
    said = [ask(daemon, "HOLD", **JOB)["say"]]
    with town.begin() as conn:
        towns.pay(conn, "100.00", "BANK-2")
    for ahead_s in (1, 100):
        monkeypatch.setattr(desk, "AHEAD_S", ahead_s)
        daemon.desk.look_ahead()
        said.append(ask(daemon, "HOLD", **JOB | {"hold": f"{ahead_s + 100:032x}"})["say"])

    assert [each.rpartition(", ")[2] for each in said] == [
        "99,988.72 is left",
        "99,977.44 is left",
        "100,066.16 is left",
    ]


def test_holds_that_wait_count(daemon, town) -> None:
    """What is answered and not written yet is held, also when the account is read anew."""
    for number in range(3):
        daemon.answer(line("HOLD", JOB | {"hold": f"{number:032x}"}), NOW_S)
        daemon.desk._forget()
    last = read(daemon.answer(line("HOLD", JOB | {"hold": "0" * 31 + "9"}), NOW_S))

    assert last["say"].endswith("99,954.88 is left")
    assert held(town) == []
    daemon.desk.flush()
    assert len(held(town)) == 4


def test_change_that_cannot_be_written_stops_no_other(daemon, town, caplog) -> None:
    """Where the book refuses one change, the others are written and it is named in the log."""
    daemon.answer(line("HOLD", JOB), NOW_S)
    daemon.answer(line("HOLD", JOB | {"hold": OTHER_HOLD}), NOW_S)
    changes = list(daemon.desk.take())
    bad = replace(changes[0].placed, task_micro=-1)
    changes[0] = replace(changes[0], placed=bad)
    daemon.desk._writing = changes
    daemon.desk.one_by_one()

    assert [each for each, _ in held(town)] == [OTHER_HOLD]
    assert "cannot be written" in caplog.text
    assert daemon.desk.waiting == 0


def test_user_whose_jobs_never_come_has_one_at_a_time(daemon, town, monkeypatch) -> None:
    """After many submissions that the queue never showed a user waits for each; others do not."""
    monkeypatch.setattr(desk, "STRAYS_MAX", 3)
    daemon.desk.never_came([UID, UID], NOW_S)
    ask(daemon, "HOLD", **JOB)
    daemon.desk.never_came([UID, 4242], NOW_S)
    answer = ask(daemon, "HOLD", **JOB | {"hold": OTHER_HOLD})

    assert (answer["word"], answer["code"]) == ("NO", "not_allowed")
    assert answer["say"] == (
        f"voucher: 3 submissions of user {UID} did not come into the queue within an hour, and 1 "
        "is not there yet; 1 at a time is allowed, wait a minute"
    )
    bind(town, 16)
    assert ask(daemon, "HOLD", **JOB | {"hold": OTHER_HOLD})["word"] == "YES"
    later = NOW_S + desk.STRAYS_S
    daemon.desk.never_came([], later)
    assert ask(daemon, "HOLD", later, **JOB | {"hold": "0" * 31 + "3"})["word"] == "YES"


def test_status(daemon) -> None:
    """STATUS tells what was asked, what had no answer, and what waits for the book."""
    ask(daemon, "HOLD", **JOB, missed="3")
    ask(daemon, "HOLD", **JOB | {"hold": OTHER_HOLD, "uid": "4242"}, missed="5")
    ask(daemon, "PING", missed="2")

    assert ask(daemon, "STATUS") == {
        "word": "YES",
        "asked": "4",
        "held": "1",
        "refused": "1",
        "missed": "7",
        "waiting": "0",
    }


@pytest.mark.parametrize("hold_id", ["", "1", "A" * 32, "0" * 33, "0" * 31 + "٣", "0" * 31 + "\n"])
def test_odd_hold_id_is_refused(daemon, town, hold_id: str) -> None:
    """An id that no hook makes is refused."""
    assert ask(daemon, "HOLD", **JOB | {"hold": hold_id})["word"] == "NO"
    assert held(town) == []


# --- MODIFY ----------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["16", "16_2", "16_[1-3]", "16_1,3", "16+0", "4294967"])
def test_unknown_job_may_be_modified(daemon, job: str) -> None:
    """A job that has no hold is none of our business."""
    assert ask(daemon, "MODIFY", job=job, uid="0", time_limit="unlimited") == {
        "word": "YES",
        "job": job,
    }


@pytest.mark.parametrize("job", ["16", "16_2", "16_[1-3]", "16_1-3,7%2"])
def test_raise_is_held(daemon, town, job: str) -> None:
    """A job that is made longer is held for the longer time, named in whatever form."""
    ask(daemon, "HOLD", **JOB)
    bind(town, 16)

    assert ask(daemon, "MODIFY", job=job, uid=str(UID), time_limit="120") == {
        "word": "YES",
        "job": job,
        "say": f"voucher {ACCOUNT}: held 22.56 yuan, 99,977.44 is left",
    }
    assert held(town) == [(HOLD, 2 * CARD_HOUR)]


def test_job_that_was_not_seen_yet_is_not_changed_unasked(daemon, town) -> None:
    """Between submit and the next look nobody knows whose hold it is: its user may not make the job
    dearer meanwhile. root, other users, and this one once the hold is bound, may change jobs."""
    ask(daemon, "HOLD", **JOB)
    change = {"job": "16", "time_limit": "120"}
    said = ask(daemon, "MODIFY", uid=str(UID), **change)
    assert (said["word"], said["code"]) == ("NO", "unavailable")
    assert said["say"].startswith(f"job 16: is not known yet, 1 of user {UID} were submitted")
    others = [ask(daemon, "MODIFY", uid=uid, **change)["word"] for uid in ("0", "7")]
    assert others == ["YES", "YES"]
    daemon.desk.flush()
    assert ask(daemon, "MODIFY", uid=str(UID), **change)["word"] == "NO"
    bind(town, 16)
    assert "held 22.56 yuan" in ask(daemon, "MODIFY", uid=str(UID), **change)["say"]
    assert ask(daemon, "MODIFY", uid=str(UID), **change | {"job": "17"})["word"] == "YES"


@pytest.mark.parametrize("task", ["16", releasing.SELF_PAY])
def test_finished_job_is_not_changed_before_it_is_known_again(daemon, town, task: str) -> None:
    """A job that was requeued after its end has a hold from the next look on: until then its user
    does not make it start at once. One that goes on as self-pay may be changed."""
    ask(daemon, "HOLD", **JOB)
    bind(town, 16)
    with town.begin() as conn:
        releasing.end(conn, HOLD, task, "voided", 1, NOW_S, "row")

    def change(uid: int = UID, after_s: int = 0) -> str:
        asked = {"job": "16", "uid": str(uid), "begin_s": str(NOW_S)}
        return ask(daemon, "MODIFY", NOW_S + after_s, **asked)["word"]

    assert change() == ("NO" if task == "16" else "YES")
    assert (change(0), change(after_s=2 * desk.REQUEUED_S)) == ("YES", "YES")


@pytest.mark.parametrize(
    ("choice", "uid", "partition", "word"),
    [
        ("refuse", "7", {"asked_for": "1"}, "NO"),
        ("refuse", "7", {}, "YES"),
        ("refuse", "0", {"asked_for": "1"}, "YES"),
        ("self_pay", "7", {"asked_for": "1"}, "YES"),
    ],
)
def test_job_without_a_voucher_does_not_move_where_one_is_needed(
    site, choice: str, uid: str, partition: dict[str, str], word: str
) -> None:
    """What is refused at submit is refused by way of another partition, too."""
    daemon = Voucherd(config.Config(**vars(site) | {"without_voucher": choice}))
    try:
        said = ask(daemon, "MODIFY", job="16", uid=uid, partition="ai", **partition)
    finally:
        daemon.engine.dispose()
    assert said["word"] == word
    assert ("job 16: has 0 vouchers" in said.get("say", "")) is (word == "NO")


def test_nobody_releases_a_job_that_was_not_looked_at(daemon, town) -> None:
    """A job that the hook made to wait is known by a look at the queue: until there was one since
    voucherd began, and two since it heard that the hook had no answer, users release none."""
    looked = looking.Looked(0, reconcile.Reconciled(), None)

    def release(**told: str) -> str:
        return ask(daemon, "MODIFY", job="16", uid=str(UID), release="1", **told)["word"]

    assert release() == "NO"
    daemon.follow(looked, NOW_S)
    assert (release(), release(missed="3")) == ("YES", "NO")
    daemon.follow(looked, NOW_S)
    assert release() == "NO"
    daemon.follow(looked, NOW_S)
    assert (release(), release(missed="3")) == ("YES", "NO")
    assert ask(daemon, "MODIFY", job="16", uid="0", time_limit="unlimited")["word"] == "YES"
    assert held(town) == []


def test_part_of_a_heterogeneous_job_is_found(daemon, town) -> None:
    """A part of a heterogeneous job is the job whose number is as many higher."""
    ask(daemon, "HOLD", **JOB)
    bind(town, 16)
    ask(daemon, "MODIFY", job="15+1", uid=str(UID), time_limit="120")

    assert held(town) == [(HOLD, 2 * CARD_HOUR)]


@pytest.mark.parametrize(
    "change",
    [
        {"time_limit": "30"},
        {"tres_per_node": ""},
        {"tres_per_node": "gres/gpu:ascend_910b:1"},
        {"min_nodes": "1", "max_nodes": "1"},
        {"features": "fast"},
        {"account": "other"},
    ],
)
def test_lowering_changes_nothing(daemon, town, change) -> None:
    """A job that is made smaller, or no larger, keeps its hold."""
    ask(daemon, "HOLD", **JOB)
    bind(town, 16)

    assert ask(daemon, "MODIFY", job="16", uid=str(UID), **change)["word"] == "YES"
    assert held(town) == [(HOLD, CARD_HOUR)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"time_limit": "600000"}, "insufficient_balance"),
        ({"partition": "sc"}, "tariff_missing"),
        ({"partition": "ai,sc"}, "tariff_missing"),
        ({"min_nodes": "x"}, "invalid_input"),
        ({"exclusive": "1", "time_limit": "70000"}, "insufficient_balance"),
    ],
)
def test_raise_beyond_the_rules_is_refused(daemon, town, change, code: str) -> None:
    """A change that may not be is refused, and the hold stays as it was."""
    ask(daemon, "HOLD", **JOB)
    bind(town, 16)
    answer = ask(daemon, "MODIFY", job="16", uid="0", **change)

    assert (answer["word"], answer["job"], answer["code"]) == ("NO", "16", code)
    assert held(town) == [(HOLD, CARD_HOUR)]


def test_change_that_slurm_may_refuse_is_not_believed(daemon, town) -> None:
    """After a change to less, a change to more counts from what was before both."""
    ask(daemon, "HOLD", **JOB | {"time_limit": "120"})
    bind(town, 16)
    ask(daemon, "MODIFY", job="16", uid=str(UID), time_limit="60")
    ask(daemon, "MODIFY", job="16", uid=str(UID), tres_per_node="gpu:ascend_910b:2")

    assert held(town) == [(HOLD, 4 * CARD_HOUR)]


@pytest.mark.parametrize("job", ["", "x", "-1", "1" * 20, "١٦", "name"])
def test_job_that_is_no_number_is_refused(daemon, job: str) -> None:
    """A job that cannot be found out is refused and not let pass unseen."""
    assert ask(daemon, "MODIFY", job=job, uid="0", time_limit="120")["code"] == "invalid_input"


# --- the rest --------------------------------------------------------------------------------


def test_ping(daemon) -> None:
    """A PING is answered with YES."""
    assert daemon.answer(b"1 PING\n", NOW_S) == b"1 YES\n"


@pytest.mark.parametrize(
    "line",
    [b"\n", b"2 PING\n", b"1 HOLD \xff\n", b"1 HOLD a=\x00\n", b"GET / HTTP/1.1\r\n", b"1 HOLD\n"],
)
def test_garbage_gets_a_no(daemon, line: bytes) -> None:
    """A line that is no question gets a NO."""
    assert read(daemon.answer(line, NOW_S))["code"] == "invalid_input"


WORDS = st.sampled_from(["1", "2", "HOLD", "MODIFY", "DROP", "STATUS", "PING", "hold=", "=", "%"])
KEYS = st.sampled_from([*JOB, "job", "array", "min_nodes", "mem_per_node_mb", "missed", "qos",
                        "begin_s", "exclusive", "tres_per_task", "features"])  # fmt: skip


@given(st.lists(WORDS | st.binary(max_size=20).map(repr) | st.text(max_size=8), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_asked_has_one_answer(daemon, words) -> None:
    """Any line has one answer of one line, and a mistake of ours is not it."""
    answer = daemon.answer(" ".join(words).encode("utf-8", "replace")[:4000] + b"\n", NOW_S)

    assert read(answer)["word"] in ("YES", "NO")
    assert b"internal" not in answer


@given(
    st.sampled_from(["HOLD", "MODIFY", "DROP", "STATUS"]),
    st.dictionaries(KEYS, st.text(max_size=12) | st.integers(-1, 2**64).map(str), max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_job_says_has_one_answer(daemon, verb: str, changes) -> None:
    """Whatever stands in the fields, there is one answer and no mistake of ours."""
    answer = daemon.answer(line(verb, JOB | changes), NOW_S)

    assert read(answer)["word"] in ("YES", "NO")
    assert b"internal" not in answer


def test_locked_book_is_not_waited_for(site, town, caplog) -> None:
    """While another writer has the book holds are answered; they are written when it is free."""

    def client() -> None:
        with connect(site) as asking:
            with town.begin() as conn:
                ledger.lock(conn)
                for number in range(3):
                    hold = JOB | {"hold": f"{number:032x}"}
                    asking.sendall(line("HOLD", hold | {"time_limit": "30"}))
                assert len(answers(asking, 3)) == 3
                until(lambda: "3 changes wait" in caplog.text)
            until(lambda: len(held(town)) == 3)

    served(site, client)
    assert [micro for _, micro in held(town)] == [CARD_HOUR // 2] * 3


def test_mistake_of_ours_gets_a_no(daemon, caplog) -> None:
    """A mistake in voucherd is logged with the question and answered with NO."""
    daemon.desk.rules = None
    answer = ask(daemon, "HOLD", **JOB)

    assert (answer["word"], answer["hold"], answer["code"]) == ("NO", HOLD, "internal")
    assert answer["say"].startswith("voucher: mistake in voucherd")
    assert "question b'1 HOLD hold=" in caplog.text
    assert "AttributeError" in caplog.text


def test_start_without_slurm(site, slurm) -> None:
    """Without an answer of slurmctld voucherd does not start, and says so."""
    slurm.fails("scontrol")

    with pytest.raises(SlurmUnavailable, match="is slurmctld running"):
        Voucherd(site)


# --- the socket ------------------------------------------------------------------------------


def served(site: config.Config, client) -> float:
    """Serve in this process while a client asks in a thread, then end by SIGTERM.

    Returns:
        Seconds from SIGTERM to the end.
    """
    ended_s: list[float] = []

    def run() -> None:
        try:
            until(lambda: Path(site.socket).exists())
            client()
        finally:
            ended_s.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGTERM)

    daemon = Voucherd(site)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(run)
        serving.run(daemon)
        took_s = time.monotonic() - ended_s[0]
    daemon.engine.dispose()
    asked.result()
    return took_s


def until(true, seconds: float = 10) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def connect(site: config.Config) -> socket.socket:
    """Connect as slurmctld does."""
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(10)
    asking.connect(site.socket)
    return asking


def answers(asking: socket.socket, count: int = -1) -> list[bytes]:
    """Read answers until there are enough, or the connection is closed."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while found.count(b"\n") != count and (some := asking.recv(4096)):
            found += some
    return found.splitlines(keepends=True)


def test_questions_over_the_socket(site, town) -> None:
    """Questions are answered in order, in one packet or byte by byte, on many connections."""

    def client() -> None:
        with connect(site) as one:
            one.sendall(b"1 PING\n1 PI")
            assert answers(one, 1) == [b"1 YES\n"]
            one.sendall(b"NG\n2 PING\n")
            assert [each[:4] for each in answers(one, 2)] == [b"1 YE", b"1 NO"]
        with connect(site) as half:
            half.sendall(b"1 PING\n1 HOLD hold=")
            half.shutdown(socket.SHUT_WR)
            assert answers(half) == [b"1 YES\n"]
        many = [connect(site) for _ in range(200)]
        for each in many:
            each.sendall(b"1 PING\n")
        assert [answers(each, 1) for each in many] == [[b"1 YES\n"]] * 200
        for each in many:
            each.close()

    served(site, client)


def test_line_above_the_limit_closes_the_connection(site, town) -> None:
    """A line of 4096 bytes is answered; a longer one closes its connection, and no other."""

    def client() -> None:
        with connect(site) as whole, connect(site) as other:
            whole.sendall(b"1 PING a=".ljust(4095, b"b") + b"\n")
            assert answers(whole, 1) == [b"1 YES\n"]
            with contextlib.suppress(ConnectionError):
                whole.sendall(b"x" * 9000 + b"\n")
            assert answers(whole) == []
            other.sendall(b"1 PING\n")
            assert answers(other, 1) == [b"1 YES\n"]

    served(site, client)


def test_socket_is_for_slurmctld_alone(site, town) -> None:
    """The socket can be opened by its owner alone, and an end by SIGTERM takes it away."""

    def client() -> None:
        assert stat.S_IMODE(os.stat(site.socket).st_mode) == 0o600

    served(site, client)
    assert not Path(site.socket).exists()


def as_uid(uid: int, path: str) -> bytes:
    """Ask PING as another user; return the answer, or the name of the error."""
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(uid)
            asking = socket.socket(socket.AF_UNIX)
            asking.settimeout(5)
            asking.connect(path)
            asking.sendall(b"1 PING\n")
            os.write(here, asking.recv(100) or b"closed")
        except (ConnectionResetError, BrokenPipeError):
            os.write(here, b"closed")
        except OSError as error:
            os.write(here, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(here)
    said = os.read(there, 100)
    os.close(there)
    return said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_other_users_get_no_answer(site, town, monkeypatch) -> None:
    """slurmctld's user gets an answer; another gets none, even where the socket lets it in."""

    async def never(_: looking.Aside) -> looking.Looked:  # a fork of ours keeps its pipes open
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(looking.Aside, "look", never)
    site = config.Config(**vars(site) | {"slurm_uid": 64030})
    said = {}

    def client() -> None:
        said["slurm"] = as_uid(64030, site.socket)
        said["other"] = as_uid(65534, site.socket)
        os.chmod(site.socket, 0o666)
        said["let in"] = as_uid(65534, site.socket)
        said["high"] = as_uid(4_294_967_000, site.socket)

    served(site, client)
    assert said == {
        "slurm": b"1 YES\n",
        "other": b"PermissionError",
        "let in": b"closed",
        "high": b"closed",
    }


def test_second_voucherd_is_refused(site, town) -> None:
    """Where a voucherd answers another one does not start, and the first goes on."""

    def client() -> None:
        with pytest.raises(ConfigInvalid, match="1 voucherd answers there, 1 is allowed"):
            listening.listen(site)
        with connect(site) as asking:
            asking.sendall(b"1 PING\n")
            assert answers(asking, 1) == [b"1 YES\n"]

    served(site, client)


def test_voucherd_of_a_backup_controller_waits(site, town, caplog, monkeypatch) -> None:
    """While another voucherd is active for the cluster this one waits; then it answers."""
    monkeypatch.setattr(serving, "TURN_S", 0.05)
    first = active.turn(town.engine, "chengdu")
    assert first.take()

    def client() -> None:
        with connect(site) as asking:
            asking.sendall(b"1 PING\n")
            assert answers(asking, 1) == [b"1 YES\n"]

    def other() -> None:
        until(lambda: "another voucherd is active for cluster chengdu" in caplog.text)
        assert not Path(site.socket).exists()
        first.end()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = pool.submit(other)
        served(site, client)
    ended.result()


def test_voucherd_that_lost_its_turn_ends(site, town, caplog, monkeypatch) -> None:
    """A voucherd that is not the active one any more ends by itself."""
    monkeypatch.setattr(serving, "TURN_S", 0.05)
    monkeypatch.setattr(active._OfFile, "lasts", lambda _: Path(site.socket).exists() is False)
    monkeypatch.setattr(active._OfSession, "lasts", lambda _: Path(site.socket).exists() is False)
    daemon = Voucherd(site)
    serving.run(daemon)
    daemon.engine.dispose()

    assert "made this voucherd the active one; ending" in caplog.text
    assert not Path(site.socket).exists()


HERE = socket.gethostname().partition(".")[0]


def test_voucherd_ends_where_another_controller_leads(site, slurm, town, caplog) -> None:
    """Where this host's slurmctld is down and another one tells of the queue, that one's hook asks
    the voucherd there: this one ends, and lets it."""
    slurm.says(
        "scontrol.txt",
        f"Slurmctld(primary) at {HERE} is DOWN\nSlurmctld(backup) at standby is UP\n",
    )
    daemon = Voucherd(site)
    serving.run(daemon)
    daemon.engine.dispose()

    assert "leads on another host; ending" in caplog.text


@pytest.mark.parametrize(
    ("said", "down"),
    [
        (f"Slurmctld(primary) at {HERE} is DOWN\nSlurmctld(backup1) at b is UP\n", True),
        (f"Slurmctld(primary) at {HERE} is UP\nSlurmctld(backup) at b is DOWN\n", False),
        (f"Slurmctld(primary) at {HERE} is DOWN\n", False),
        ("Slurmctld(primary) at a is DOWN\nSlurmctld(backup) at b is UP\n", False),
        ("", False),
    ],
)
def test_own_controller_is_down(slurm, said: str, down: bool) -> None:
    """Only where there are several, and this host's is one of them."""
    slurm.says("scontrol.txt", said)
    assert looking._is_down(HERE) is down


def test_stale_socket_is_replaced(site) -> None:
    """A socket that nobody holds is replaced, and its folder is made where it is missing."""
    site = config.Config(**vars(site) | {"socket": f"{site.home}/run/s"})
    listening.listen(site).close()

    with listening.listen(site):
        connect(site).close()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_something_else_at_the_path_is_refused(site, what: str) -> None:
    """What is no socket is left where it stands."""
    path = Path(site.socket)
    path.write_text("precious") if what == "file" else path.mkdir()

    with pytest.raises(ConfigInvalid, match="no socket stands there; choose another"):
        listening.listen(site)
    assert path.is_dir() or path.read_text() == "precious"


def test_folder_that_cannot_be_made(site) -> None:
    """A path through a file is refused in words."""
    (site.home / "file").write_text("")
    site = config.Config(**vars(site) | {"socket": f"{site.home}/file/s"})

    with pytest.raises(ConfigInvalid, match=r"socket .*: (Not a directory|File exists)"):
        listening.listen(site)


def test_end_does_not_wait_for_slurm(site, slurm, town) -> None:
    """SIGTERM ends voucherd at once, also while squeue hangs and a connection is open."""
    opened: list[socket.socket] = []

    def client() -> None:
        until(lambda: (slurm.folder / "asked").exists())
        opened.append(connect(site))
        opened[0].sendall(b"1 HOLD hold=")

    (slurm.folder / "squeue").write_text("#!/bin/sh\ntouch asked\nexec sleep 3\n".replace(
        "asked", str(slurm.folder / "asked")))  # fmt: skip
    assert served(site, client) < 1
    opened[0].close()


@pytest.mark.timeout(30)
def test_end_though_signals_were_blocked(site, slurm, town, monkeypatch) -> None:
    """SIGTERM ends also a voucherd whose parent had it blocked, as slurmctld 22.05 has."""
    own, kill, main = os.getpid(), os.kill, threading.main_thread().ident

    def to_the_main_thread(pid: int, sign: int) -> None:
        signal.pthread_kill(main, sign) if pid == own else kill(pid, sign)

    monkeypatch.setattr(os, "kill", to_the_main_thread)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        assert served(site, lambda: None) < 1
    finally:
        signal.sigtimedwait({signal.SIGTERM}, 0)  # what came and was blocked ends nobody else
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- the queue -------------------------------------------------------------------------------


def test_queue_is_looked_at(site, slurm, town, caplog, capfd) -> None:
    """A restarted voucherd rebuilds what the queue shows; a look that fails changes nothing."""
    site = config.Config(**vars(site) | {"snapshot_s": 0.02})
    submit = {"set": True, "infinite": False, "number": NOW_S}
    comment = f"voucher={ACCOUNT};hold={HOLD};held=5000000"
    slurm.queue(row(117, user_id=UID, submit_time=submit, admin_comment=comment))
    slurm.says("squeue.json", (slurm.folder / "squeue.json").read_text())
    slurm.fails("squeue")

    def client() -> None:
        until(lambda: "queue: squeue: slurm_load" in caplog.text)
        assert held(town) == []
        slurm.heal()
        until(lambda: held(town) != [])
        slurm.says("sinfo.txt", "nonsense")
        until(lambda: "partitions cannot be read" in caplog.text)

    with caplog.at_level("INFO"):
        served(site, client)
    assert f"voucherd INFO hold {HOLD}: rebuilt\n" in capfd.readouterr().err
    with town.begin() as conn:
        assert conn.execute(holds.LIVE).one().job_id == 117


def test_mistake_in_a_look_is_survived(site, slurm, town, caplog, monkeypatch) -> None:
    """A mistake of ours in looking at the queue is logged, and the next look comes."""
    site = config.Config(**vars(site) | {"snapshot_s": 0.02})
    monkeypatch.setattr(looking.Aside, "look", None)

    served(site, lambda: until(lambda: len(re.findall("queue: mistake", caplog.text)) > 1))
