"""slurm_voucher/userport.py, munge.py: users ask from any host, and are told of their own alone."""

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
from pathlib import Path

import pytest
import told
import town as towns
from fakeslurm import FakeSlurm
from homes import Home, one_line
from test_startup import BOOK, SLOW, SVOUCHER, python
from test_voucherd import until
from town import ACCOUNT, NOW, UID, UNIT, Town, instant

from accounting.errors import InvalidInput, NotAllowed, Unavailable
from slurm_voucher import config, munge
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
def site(town: Town, munged, tmp_path, monkeypatch) -> config.Config:
    """A site with a port for its users."""
    fake = FakeSlurm(tmp_path / "slurm")
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
        ({"ask": "payout"}, "question 'payout': known are balance, members, quote"),
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


@pytest.mark.parametrize("words", ["balance", "members", "quote -p ai --gpus=1 -t 60"])
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
