"""slurm_voucher/userport.py, munge.py: users ask from any host, and are told of their own alone."""

import asyncio
import contextlib
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import told
import town as towns
from delivery import load_prices, run, take, yuan
from fakeslurm import FakeSlurm, row
from homes import Home, one_line
from test_startup import BOOK, SLOW, SVOUCHER, python
from test_voucherd import until
from town import ACCOUNT, CLUSTER, NOW, UID, UNIT, Town, instant

from accounting.errors import InvalidInput, NotAllowed, Unavailable, VoucherError
from accounting.vouchers import holds, releasing
from slurm_voucher import config, munge, userport
from slurm_voucher import port as wire

FIELDS = {"partition": "ai", "time_limit": "60", "tres_per_node": "gpu:ascend_910b:1"}
ME = os.getuid()


@pytest.fixture(scope="module")
def munged(tmp_path_factory):
    """A munged of our own."""
    if not shutil.which("munged"):
        pytest.fail("no munged: install munge")
    folder = tmp_path_factory.mktemp("munge")
    folder.chmod(0o755)
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    path = folder / "socket"
    command = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={path}",
               f"--pid-file={folder}/pid", f"--log-file={folder}/log",
               f"--seed-file={folder}/seed"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        until(path.exists)
        yield str(path)
        running.terminate()


# --- credentials -----------------------------------------------------------------------------


def test_credential_says_who_made_it(munged) -> None:
    """What was put in comes out, with our own uid."""
    made = munge.encode("券 5".encode(), None, munged)

    assert munge.decode(made, munged) == ("券 5".encode(), ME)


def test_credential_is_taken_once(munged) -> None:
    """A credential that munged has seen is refused: nobody can use what went over the wire."""
    made = munge.encode(b"", None, munged)
    assert munge.decode(made, munged) == (b"", ME)
    with pytest.raises(NotAllowed, match="Replayed"):
        munge.decode(made, munged)


def test_credential_for_another_user_is_not_read(munged) -> None:
    """A credential for one user is nothing to another."""
    with pytest.raises(NotAllowed, match="Unauthorized"):
        munge.decode(munge.encode(b"secret", ME + 1, munged), munged)


@pytest.mark.parametrize("bad", [b"", b"MUNGE:", b"MUNGE:AAAA:", b"\x00", b"x" * 9999])
def test_what_is_no_credential(munged, bad: bytes) -> None:
    """Anything else is refused in words."""
    with pytest.raises(NotAllowed, match="munge: "):
        munge.decode(bad, munged)


def test_no_munged(tmp_path) -> None:
    """Without munged one is told to start it."""
    with pytest.raises(Unavailable, match="start munged on this host"):
        munge.encode(b"", None, str(tmp_path / "none"))


# --- questions -------------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path) -> FakeSlurm:
    """The site's Slurm."""
    return FakeSlurm(tmp_path / "slurm")


@pytest.fixture
def site(town: Town, munged, fake, tmp_path, monkeypatch) -> config.Config:
    """A site with a port for its users."""
    monkeypatch.setenv("PATH", f"{fake.folder}:{os.environ['PATH']}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    book = town.engine.url.render_as_string(hide_password=False)
    return config.Config(
        tmp_path, book, town.archive, tmp_path / "papers", str(tmp_path / "s"), 0, 60, "normal",
        users_port=port, munge_socket=munged,
    )  # fmt: skip


@pytest.fixture
def port(site: config.Config):
    """The process that answers, as voucherd starts it."""
    command = [sys.executable, "-c", "from slurm_voucher import userport; userport.main()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        assert running.stdin
        running.stdin.write(pickle.dumps(site))
        running.stdin.flush()

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", site.users_port)) == 0

        until(answers)
        yield site.users_port
        running.stdin.close()
        assert running.wait(10) == 0


@pytest.fixture
def member(town: Town) -> None:
    """Whoever runs the tests is a member of the unit, from long ago on."""
    with town.begin() as conn:
        towns.registry.add_member(
            conn, UNIT, cluster="chengdu", uid=ME, from_s=instant(NOW),
            until_s=None, stamp=towns.stamp(),
        )  # fmt: skip


def ask(port: int, munged: str, **question: object) -> object:
    """Ask as whoever runs the tests."""
    return wire.ask("127.0.0.1", port, question, munged)


def test_member_is_told_of_the_units_accounts(port, munged, member) -> None:
    """A member sees where the accounts of the unit stand."""
    [row] = ask(port, munged, ask="balance")

    assert (row["account"], row["cash"], row["available"]) == (ACCOUNT, "50,000.00", "100,000.00")


def test_nobody_else_is_told_anything(port, munged) -> None:
    """Who is no member sees no account and gets no quote on one."""
    assert ask(port, munged, ask="balance") == []
    assert ask(port, munged, ask="members") == []
    row = ask(port, munged, ask="quote", fields=FIELDS, account=ACCOUNT)
    assert (row["cost"], row["accepted"]) == ("11.28", "no")
    assert "belongs to another unit" in row["why"]
    assert (row["available"], row["voucher_part"], row["own_part"]) == (None, None, None)


def test_quote(port, munged, member) -> None:
    """A quote says what a job can cost and, on an account, whether it would be accepted."""
    row = ask(port, munged, ask="quote", fields=FIELDS, account=ACCOUNT)

    assert (row["cost"], row["accepted"], row["available"]) == ("11.28", "yes", "100,000.00")


def test_quote_on_the_account_that_one_has(port, munged, member, town: Town) -> None:
    """Who names no account is quoted on the only one that is possible; of several, or none, it is
    said that there are."""
    row = ask(port, munged, ask="quote", fields=FIELDS)
    # the town's voucher has expired by the clock
    assert (row["voucher"], row["accepted"]) == (None, None)
    assert row["why"] == "0 of your accounts are possible there; see svoucher members"


def test_quote_that_would_be_refused(port, munged, member) -> None:
    """What does not fit is quoted all the same, with why it would be refused."""
    fields = FIELDS | {"array": "1-100000"}
    row = ask(port, munged, ask="quote", fields=fields, account=ACCOUNT)

    assert (row["cost"], row["accepted"], row["tasks"]) == ("1,128,000.00", "no", 100_000)
    assert "is available" in row["why"] or "expired" in row["why"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"ask": "payout"}, "question 'payout': known are balance, members, quote, jobs"),
        ({"ask": "quote"}, "question quote: has no fields"),
        ({"ask": "quote", "fields": {"partition": "gone"}}, "partition gone: not known here"),
        ({}, "question 'None'"),
    ],
)
def test_what_is_not_answered(port, munged, question, said: str) -> None:
    """An odd question is refused in words."""
    with pytest.raises(Exception, match=said):
        ask(port, munged, **question)


@pytest.mark.parametrize("raw", [b"\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000, b"MUNGE:\n"])
def test_who_has_no_credential_gets_nothing(port, munged, raw: bytes) -> None:
    """Without a credential the connection is closed without a word, and the next one is heard."""
    with socket.create_connection(("127.0.0.1", port), 10) as asking:
        asking.settimeout(10)
        asking.sendall(raw)
        asking.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert asking.recv(100) == b""
    assert ask(port, munged, ask="balance") == []


def test_who_says_nothing_keeps_nobody_waiting(port, munged) -> None:
    """Connections that stay silent are closed, and others are answered meanwhile."""
    silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(20)]
    began = time.monotonic()
    assert ask(port, munged, ask="balance") == []
    assert time.monotonic() - began < wire.WAIT_S
    for each in silent:
        each.close()


def test_nobody_there(munged) -> None:
    """Where nobody answers one line says what to do."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1: .*ask the operator whether users_port"):
        wire.ask("127.0.0.1", 1, {"ask": "balance"}, munged)


# --- jobs ------------------------------------------------------------------------------------


def a_while_ago(days: int) -> str:
    """Return an instant some days before now."""
    return datetime.fromtimestamp(int(time.time()) - days * 86_400, UTC).isoformat()


@pytest.fixture
def worked(town: Town, member) -> str:
    """Runs of whoever runs the tests, and one of somebody else; a hold of each."""
    load_prices(town)
    now_s = int(time.time())
    take(
        town,
        yuan(11, 12, a_while_ago(3), uid=ME),
        yuan(12, 5, a_while_ago(2), uid=ME, state="NODE_FAIL"),
        run(13, end=a_while_ago(1), uid=ME, partition="gone"),
        yuan(14, 3, a_while_ago(50), uid=ME),
        yuan(15, 3, a_while_ago(1), uid=ME + 1),
        at=a_while_ago(0),
    )
    asked = {"partition": "ai", "time_limit": "60", "tres_per_node": "gpu:ascend_910b:1"}
    with town.begin() as conn:
        for number, uid in (("1", ME), ("2", ME), ("3", ME), ("4", ME + 1)):
            made = holds.Request(number * 32, CLUSTER, ACCOUNT, uid, 1, 9_024_000, 9_024_000, asked)
            holds.enter(conn, [made], town.policy, now_s)
            if number != "3":
                releasing.bind(conn, number * 32, CLUSTER, 116 + int(number), now_s, now_s)
    return ACCOUNT


def queued(fake: FakeSlurm, **changes: object) -> None:
    """Let the queue show the job of the first hold."""
    fake.queue(row(117, user_id=ME, state_reason="Priority", **changes))


def test_jobs_of_ones_own(port, munged, fake, worked) -> None:
    """A user is told of what has ended, waits and runs, with charge or hold; of nobody else's."""
    queued(fake)
    told_ = ask(port, munged, ask="jobs")
    assert told_["more"] is False
    rows = told.rows("jobs", json.dumps(told_["rows"]))
    names = ("job", "state", "status", "charge", "held", "reason")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("11", "COMPLETED", "charged", "12.000000", None, ""),
        ("12", "NODE_FAIL", "free", "0.000000", None, "NODE_FAIL is free"),
        ("13", "COMPLETED", "unrated", None, None, rows[2]["reason"]),
        ("117", "PENDING", "held", None, "9.024000", "Priority"),
        ("118", None, "held", None, "9.024000", "has ended, is not collected yet"),
        (None, None, "held", None, "9.024000", "not in the queue yet"),
    ]
    assert "gone" in rows[2]["reason"]


def test_the_same_uid_elsewhere_is_somebody_else(town, port, munged, fake, worked) -> None:
    """Who asks is known on this cluster: runs of another one's user of the same number are not
    told, and not explained."""
    take(town, yuan(99, 7, a_while_ago(1), uid=ME, cluster="elsewhere"), at=a_while_ago(0))
    assert "99" not in {row["job"] for row in ask(port, munged, ask="jobs")["rows"]}
    with pytest.raises(VoucherError, match="job 99: not in the queue, and 0 of your runs"):
        ask(port, munged, ask="explain", job="99")


def test_jobs_that_wait_for_their_voucher(port, munged, fake, worked) -> None:
    """A job that is held in the queue says in words why."""
    comment = f"voucher={ACCOUNT};hold={'1' * 32};held=9024000;waits=insufficient_balance"
    queued(fake, admin_comment=comment)
    rows = ask(port, munged, ask="jobs")["rows"]
    [waits] = [row["reason"] for row in rows if row["job"] == "117"]
    assert waits == "voucher and cash do not cover all of your jobs, the newest wait"


def test_jobs_that_go_on_or_are_to_be_ended(port, munged, fake, worked) -> None:
    """A job that goes on without its voucher, or is to be ended, says so."""
    ends = f"voucher={ACCOUNT};hold={'2' * 32};held=1;ends=insufficient_balance@2026-11-22T08:00Z"
    fake.queue(
        row(122, user_id=ME, admin_comment="voucher=-;self_pay=voucher_expired"),
        row(118, user_id=ME, admin_comment=ends),
    )
    rows = told.rows("jobs", json.dumps(ask(port, munged, ask="jobs")["rows"]))
    said = {row["job"]: (row["status"], row["held"], row["reason"]) for row in rows}
    assert said["122"] == ("self_pay", None, "without its voucher: its voucher has expired")
    assert said["118"][:2] == ("held", "9.024000")
    assert said["118"][2].startswith("is to be ended at 2026-11-22T08:00Z: voucher and cash do")
    [row_] = ask(port, munged, ask="explain", job="122")["rows"]
    assert "your unit pays it in cash" in row_["said"]


def test_jobs_while_the_queue_does_not_answer(port, munged, fake, worked) -> None:
    """Without the queue it is told what is held, and that the rest is not known."""
    fake.fails("squeue")
    rows = ask(port, munged, ask="jobs")["rows"]
    held = {row["job"]: (row["state"], row["reason"]) for row in rows if row["status"] == "held"}
    assert held == dict.fromkeys(("117", "118", None), (None, "the queue does not answer"))


def test_jobs_of_some_days_and_an_account(port, munged, fake, worked) -> None:
    """Days and an account narrow it down."""

    def jobs(**asked: str) -> list[str]:
        return [row["job"] for row in ask(port, munged, ask="jobs", **asked)["rows"]]

    since, until = (a_while_ago(days)[:10] for days in (60, 40))
    assert jobs(since=since, until=until)[0] == "14"
    assert jobs(since=since)[:2] == ["14", "11"]
    assert jobs(account=ACCOUNT)[0] == "11"
    assert jobs(account="CD99-0001") == []


def test_explain_of_ones_own(port, munged, fake, worked) -> None:
    """A run is explained factor by factor; a job that waits by what is held for it."""
    queued(fake)
    [row_] = told.rows("explain", json.dumps(ask(port, munged, ask="explain", job="11")["rows"]))
    assert (row_["charge"], row_["status"], row_["tariff"]) == ("12.000000", "charged", "round-1")
    for said in ("3600 s = 12 core-h × 1.000000 yuan/core-h = 12.000000 yuan", "accrued",
                 "by policy chengdu-2023"):  # fmt: skip
        assert said in row_["said"]
    [row_] = told.rows("explain", json.dumps(ask(port, munged, ask="explain", job="117")["rows"]))
    assert row_["said"].startswith("job 117 on chengdu/ai: PENDING\nbecause: Priority\n")
    assert "held 9.024000 yuan" in row_["said"]


@pytest.mark.parametrize(
    ("job", "code", "exit_", "said"),
    [
        ("15", "not_allowed", 1, "job 15: is another user's"),
        ("120", "not_allowed", 1, "job 120: is another user's"),
        ("4711", "invalid_input", 3, "job 4711: not in the queue, and 0 of your runs"),
        ("16_2", "invalid_input", 3, "job 16_2: not in the queue"),
        ("x" * 64, "invalid_input", 3, "not in the queue"),
    ],
)
def test_explain_of_anything_else(
    port, munged, fake, worked, job: str, code: str, exit_: int, said: str
) -> None:
    """Somebody else's job is refused, and one that is not known is none: one line each."""
    with pytest.raises(VoucherError, match=said) as refused:
        ask(port, munged, ask="explain", job=job)
    assert (refused.value.code, refused.value.exit_code) == (code, exit_)
    assert "\n" not in str(refused.value)


HOSTILE = ["", "x" * 65, "\x1b[31m", "a\nb", "\0", ["11"], 11, {"$ne": 1}, True, 1e308]


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words(port, munged, member, word: object) -> None:
    """What is no word of a bounded length is refused, wherever it stands."""
    for question in (
        {"ask": "explain", "job": word}, {"ask": "jobs", "account": word},
        {"ask": "jobs", "since": word}, {"ask": "quote", "fields": {}, "account": word},
    ):  # fmt: skip
        with pytest.raises(VoucherError, match=r"check it") as refused:
            wire.ask("127.0.0.1", port, question, munged)
        assert str(refused.value).isprintable()
        assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    "day", ["2026-13-01", "1999-12-31", "9999-01-01", "yesterday", "٢٠٢٦-٠١-٠١"]
)
def test_days_that_are_none(port, munged, member, day: str) -> None:
    """What is no day of this century is refused."""
    with pytest.raises(VoucherError, match="is no day"):
        ask(port, munged, ask="jobs", since=day)


def test_days_the_wrong_way_round(port, munged, member) -> None:
    """A first day after the last one is refused."""
    with pytest.raises(VoucherError, match="is after"):
        ask(port, munged, ask="jobs", since="2026-02-01", until="2026-01-01")


def test_one_question_of_the_archive_at_a_time(port, munged, fake, worked) -> None:
    """Of many questions at once of one user some are answered and the others refused in words;
    questions of the book are answered meanwhile, and afterwards all is as before."""
    said: list[str] = []

    def asking() -> None:
        try:
            ask(port, munged, ask="jobs")
            said.append("answered")
        except VoucherError as error:
            said.append(str(error))

    many = [threading.Thread(target=asking) for _ in range(8)]
    for each in many:
        each.start()
    assert ask(port, munged, ask="balance")
    for each in many:
        each.join()
    assert set(said) <= {
        "answered", "voucher: another question of yours is being answered, 1 may be; ask again"
    }  # fmt: skip
    assert "answered" in said
    assert ask(port, munged, ask="jobs")["rows"]


async def answered(
    site: config.Config, munged: str, question: object, busy: tuple[int, ...] = ()
) -> dict[str, object]:
    """Have a question answered in this process, while questions of some users are."""
    answering = userport.Answering(site)
    answering._busy |= set(busy)
    try:
        line = munge.encode(json.dumps({"version": 1, **question}).encode(), None, munged)
        answer = await answering.answer(line)
    finally:
        await answering.end()
    return dict(json.loads(munge.decode(answer, munged)[0]))


@pytest.mark.parametrize("ask_", [{"ask": "jobs"}, {"ask": "explain", "job": "11"}])
def test_who_is_being_answered_waits(site, munged, fake, worked, ask_: dict[str, str]) -> None:
    """While one question of a user is answered from the archive a second one is refused; one of
    another user, or of the book, is not."""
    told_ = asyncio.run(answered(site, munged, ask_, (ME,)))
    assert (told_["code"], told_["exit"]) == ("unavailable", 4)
    assert "1 may be; ask again" in told_["say"]
    assert "rows" in asyncio.run(answered(site, munged, ask_, (ME + 1,)))
    assert "rows" in asyncio.run(answered(site, munged, {"ask": "balance"}, (ME,)))


def test_an_archive_that_takes_too_long(site, munged, fake, worked, monkeypatch) -> None:
    """Who asks for more than can be read in time is told so, and the reader is ended."""
    monkeypatch.setattr(userport, "PAST_S", 0.01)
    told_ = asyncio.run(answered(site, munged, {"ask": "jobs"}))
    assert (told_["code"], told_["exit"]) == ("unavailable", 4)
    assert "ask for fewer days" in told_["say"]


def test_a_reader_that_ends(site, munged, fake, worked, monkeypatch) -> None:
    """Where the process that reads the archive is killed, one line says to ask again."""
    monkeypatch.setattr(userport, "READER", "raise SystemExit(3)")
    told_ = asyncio.run(answered(site, munged, {"ask": "explain", "job": "11"}))
    assert (told_["code"], told_["say"]) == (
        "unavailable", "archive: its reader has ended; ask again"
    )  # fmt: skip


def test_more_than_an_answer_holds(site, munged, fake, worked, monkeypatch) -> None:
    """Where an answer would be too long the oldest are left out, and it is said."""
    monkeypatch.setattr(userport, "RUNS_MAX", 2)
    told_ = asyncio.run(answered(site, munged, {"ask": "jobs"}))["rows"]
    assert (told_["more"], [row["job"] for row in told_["rows"]][:2]) == (True, ["12", "13"])
    monkeypatch.setattr(userport, "BYTES_MAX", 700)
    told_ = asyncio.run(answered(site, munged, {"ask": "jobs"}))["rows"]
    assert told_["more"] is True
    assert len(json.dumps(told_["rows"])) <= 700
    assert told_["rows"][-1]["reason"] == "not in the queue yet"


# --- another release -------------------------------------------------------------------------


def raw(port: int, munged: str, question: object) -> dict[str, object]:
    """Ask as another release would, and return all that it is answered."""
    with socket.create_connection(("127.0.0.1", port), 10) as asking:
        asking.settimeout(10)
        asking.sendall(munge.encode(json.dumps(question).encode(), None, munged) + b"\n")
        answer = b""
        while some := asking.recv(65_536):
            answer += some
    told: dict[str, object] = json.loads(munge.decode(answer, munged)[0])
    return told


@pytest.mark.parametrize("version", [{}, {"version": 2}, {"version": "x" * 9999}, {"version": []}])
def test_svoucher_of_another_release(port, munged, version: dict[str, object]) -> None:
    """Who speaks another version, or none as before there were any, is told so in one line."""
    told_ = raw(port, munged, {"ask": "balance", **version})

    assert (told_["version"], told_["code"], told_["exit"]) == (wire.VERSION, "invalid_input", 3)
    said = str(told_["say"])
    assert said.startswith("svoucher: speaks version ")
    assert said.endswith("this site's voucherd 1; use the svoucher of the site's release")
    assert len(said) < 200


@pytest.mark.parametrize(
    "answer",
    [b'{"rows": []}', b'{"version": 2, "rows": []}', b'{"code": "x", "say": "no"}', b"[]", b"\xff"],
)
def test_voucherd_of_another_release(munged, answer: bytes) -> None:
    """A voucherd that speaks another version is not believed, whatever it says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]

        def once() -> None:
            talk, _ = listening.accept()
            with talk:
                talk.recv(65_536)
                talk.sendall(munge.encode(answer, ME, munged))

        voucherd = threading.Thread(target=once)
        voucherd.start()
        with pytest.raises(InvalidInput, match=r"speaks version \d+, this svoucher 1; use the svo"):
            wire.ask("127.0.0.1", number, {"ask": "balance"}, munged)
        voucherd.join()


def test_a_question_that_nobody_would_read(munged) -> None:
    """A question that is too long is refused before it is sent."""
    with pytest.raises(InvalidInput, match="16384 are read"):
        wire.ask("127.0.0.1", 1, {"ask": "balance", "account": os.urandom(16_384).hex()}, munged)


# --- the command -----------------------------------------------------------------------------


def test_command_asks_there(tmp_path, port, munged, member) -> None:
    """svoucher --at asks the site's voucherd and prints what it says, as for the operator."""
    home = Home(tmp_path)
    (home.path / "config.yaml").write_text(f"munge_socket: {munged}\n")
    at = ["--at", f"127.0.0.1:{port}"]
    [row] = found = told.rows("balance", home.ok(*at, "balance", "--json"))
    assert row["account"] == ACCOUNT
    told.same_as_csv(found, home.ok(*at, "balance", "--csv"))
    found = told.rows("members", home.ok(*at, "members", ACCOUNT, "--json"))
    assert [row["uid"] for row in found] == sorted([UID, ME])
    assert {row["may_spend"] for row in found} == {"yes"}
    told.same_as_csv(found, home.ok(*at, "members", "--csv"))
    assert home.ok(*at, "jobs", "--csv") == ""
    assert home.ok(*at, "jobs") == "nothing to show\n"
    one_line(home.run(*at, "explain", "4711"), 3, "job 4711: not in the queue")
    one_line(home.run(*at, "members", "CD99-0001"), 3, "CD99-0001: 0 are your unit's")
    words = ("quote", "-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
    assert "at most 11.28 yuan" in home.ok(*at, *words)
    [row] = found = told.rows("quote", home.ok(*at, *words, "--voucher", ACCOUNT, "--json"))
    assert (row["cost"], row["accepted"]) == ("11.28", "yes")
    told.same_as_csv(found, home.ok(*at, *words, "--voucher", ACCOUNT, "--csv"))
    done = home.run(*at, *words, "--array=1-100000", "--voucher", ACCOUNT)
    assert "would be refused" in done.stdout
    one_line(done, 1, f"voucher {ACCOUNT}", "1,128,000.00")
    one_line(home.run(*at, "quote", "-p", "gone", "-t", "60"), 1, "partition gone")
    for odd in ("127.0.0.1:x", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:\u0661"):
        one_line(home.run("--at", odd, "balance"), 3, "is no HOST:PORT")


@pytest.mark.parametrize("words", ["balance", "members", "quote -p ai --gpus=1 -t 60", "jobs"])
def test_who_asks_elsewhere_loads_no_database(tmp_path, port, munged, member, words: str) -> None:
    """On a login node svoucher loads neither SQLAlchemy nor YAML, and nothing that is slow."""
    here = f"from slurm_voucher.cli import site\nsite.DEFAULT_HOME = {str(tmp_path / 'none')!r}"
    here += f"\nsite.Site.munge_socket = {munged!r}\n"
    at = f"127.0.0.1:{port}"
    code, said, loaded = python(here + SVOUCHER, "--at", at, *words.split(), PATH=str(tmp_path))
    assert (code, said) == (0, "")
    assert loaded & (BOOK | SLOW | {"asyncio"}) == set()


def test_login_node_asks_slurmctlds_host(tmp_path, monkeypatch) -> None:
    """Without a book that can be read here slurmctld's host is asked."""
    from slurm_voucher.cli.site import Site

    fake = FakeSlurm(tmp_path / "slurm")
    (fake.folder / "config.txt").write_text("SlurmctldHost[0]        = ctl1(10.0.0.1)\n")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    monkeypatch.setattr("slurm_voucher.cli.site.DEFAULT_HOME", str(tmp_path / "none"))

    assert Site(None, None).at == ("ctl1", wire.PORT)
    assert Site(str(tmp_path), None).at is None
    fake.fails("scontrol")
    assert Site(None, None).at is None
    assert Path(tmp_path / "none").exists() is False
