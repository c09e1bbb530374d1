"""Whoever the site says is told once of each level that a voucher passes."""

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import delivery
import pytest
import town as towns
from delivery import close, take, yuan
from homes import Home, an_account, furnished, one_line
from town import ACCOUNT, POLICY, UNIT, Town, instant

from accounting.errors import ConfigInvalid, InvalidInput, Unavailable
from accounting.vouchers.nearing import Nearing, nearing
from slurm_voucher import config, warning
from slurm_voucher.warning import Settings

AT = "2024-11-15T12:00:00+08:00"


def near(town: Town, at: str = AT, percent=(80, 90, 100), days=(30, 7)) -> list[Nearing]:
    """List what accounts have passed."""
    with town.begin() as conn:
        return nearing(conn, POLICY, instant(at), percent, days)


def levels(town: Town, at: str = AT) -> list[tuple[str, int]]:
    """List the kinds and levels that were passed."""
    return [(each.kind, each.level) for each in near(town, at)]


def test_what_is_used_counts_as_it_accrues(town: Town) -> None:
    """A voucher of 50,000 is at 80 % when runs cost 80,000, before and after the statement; all of
    it is at 100 %, and then its expiry is nobody's concern."""
    delivery.load_prices(town)
    take(town, yuan(1, 79_999))
    assert levels(town) == []
    take(town, yuan(2, 1))
    assert levels(town) == [("used", 80)]
    close(town, "2024-11")
    [found] = near(town)
    assert (found.account, found.unit, found.level) == (ACCOUNT, UNIT, 80)
    assert (found.used_fen, found.issued_fen, found.free_fen) == (4_000_000, 5_000_000, 1_000_000)
    assert found.last_day == "2024-12-31"
    december = "2024-12-28T12:00:00+08:00"
    assert levels(town, december) == [("used", 80), ("expires", 7)]
    take(town, yuan(3, 30_000, delivery.DECEMBER), at=december)
    close(town, "2024-12")
    assert levels(town, december) == [("used", 100)]


@pytest.mark.parametrize(
    ("at", "passed"),
    [
        ("2024-12-01T23:59:59+08:00", []),
        ("2024-12-02T00:00:00+08:00", [("expires", 30)]),
        ("2024-12-25T00:00:00+08:00", [("expires", 7)]),
        ("2024-12-31T23:59:59+08:00", [("expires", 7)]),
        ("2025-01-01T00:00:00+08:00", []),
        ("2024-06-30T23:59:59+08:00", []),
    ],
)
def test_days_before_the_end(town: Town, at: str, passed: list[tuple[str, int]]) -> None:
    """A level of days is passed so long before 24:00 of the last day, and not after it."""
    assert levels(town, at) == passed


def test_an_account_without_a_voucher(people: Town) -> None:
    """Who has no voucher has none that nears its end."""
    with people.begin() as conn:
        towns.add_contract(conn)
    assert near(people) == []


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A server on the loopback that keeps what is posted to it."""
    got: list[dict[str, object]] = []

    class Kept(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Kept) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", got
        server.shutdown()
        thread.join()


POST = "import sys, urllib.request as u; u.urlopen(sys.argv[1], sys.stdin.buffer.read()).close()"


def test_each_level_is_told_once(town: Town, tmp_path, posted) -> None:
    """A webhook hears of 80 %, then of 100 % alone, though 90 was passed as well, and of nothing
    twice; not even when a refund brings it below again."""
    url, got = posted
    settings = Settings((sys.executable, "-c", POST, url))
    delivery.load_prices(town)
    take(town, yuan(1, 85_000))
    for _ in range(2):
        warning.tell(tmp_path, settings, near(town))
    assert [each["level"] for each in got] == [80]
    assert got[0]["text"] == (
        f"account {ACCOUNT} of {UNIT}: 80 % of its voucher is used: 42,500.00 of 50,000.00 yuan, "
        "7,500.00 is free"
    )
    take(town, yuan(2, 20_000))
    for _ in range(2):
        warning.tell(tmp_path, settings, near(town))
    assert [each["level"] for each in got] == [80, 100]
    take(town, yuan(2, 12_000), at=delivery.DECEMBER)
    assert levels(town) == [("used", 90)]
    assert warning.tell(tmp_path, settings, near(town)) == ([], "")
    assert len(got) == 2


def test_what_could_not_be_told_is_told_next_time(town: Town, tmp_path, posted) -> None:
    """A command that fails, is not there or does not answer has told nothing."""
    url, got = posted
    december = "2024-12-28T12:00:00+08:00"
    failing = (sys.executable, "-c", "import sys; sys.exit('no route')")
    done, why = warning.tell(tmp_path, Settings(failing), near(town, december))
    assert (done, why) == ([], "ended with 1: no route")
    done, why = warning.tell(tmp_path, Settings(("/none",)), near(town, december))
    assert (done, why) == ([], "No such file or directory")
    assert len(warning.not_told(tmp_path, near(town, december))) == 1
    done, why = warning.tell(
        tmp_path, Settings((sys.executable, "-c", POST, url)), near(town, december)
    )
    assert ([each.level for each in done], why) == ([7], "")
    assert [each["warning"] for each in got] == ["expires"]
    assert warning.not_told(tmp_path, near(town, december)) == []


def test_two_at_once(town: Town, tmp_path) -> None:
    """While one tells, another one is refused: nobody is told twice."""
    with (
        warning._alone(tmp_path),
        pytest.raises(Unavailable, match="another svoucher warn is at it"),
    ):
        warning.tell(tmp_path, Settings(("/bin/true",)), near(town))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_list_of_what_was_told_that_is_none(tmp_path, text: str) -> None:
    """What was told is never guessed: a broken list is refused."""
    (tmp_path / "warned.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"warned\.json: no JSON"):
        warning.not_told(tmp_path, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("warn: {command: [mail]}", r"warn\.command: 'mail' is no whole path"),
        ("warn: {command: mail}", r"warn\.command: 'mail' stands where a list belongs"),
        ("warn: {command: []}", r"warn\.command"),
        ("warn: {percent: [0]}", "0 is not between 1 and 1000"),
        ("warn: {percent: ['80']}", "'80' stands where a whole number belongs"),
        ("warn: {days: [4000]}", "4000 is not between 1 and 3660"),
        ("warn: {mail: x}", r"warn: key 'mail' is unknown"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, text: str, words: str) -> None:
    """A setting that cannot be is named with its place."""
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=words):
        config.load(tmp_path)


def test_settings(tmp_path) -> None:
    """Command and levels are taken as they are written; levels have usual values."""
    text = "warn: {command: [/bin/tell, a b], percent: [50], days: [1, 2]}"
    (tmp_path / "config.yaml").write_text(text)
    assert config.load(tmp_path).warn == Settings(("/bin/tell", "a b"), (50,), (1, 2))
    (tmp_path / "config.yaml").write_text("warn: {command: [/bin/tell]}")
    assert config.load(tmp_path).warn == Settings(("/bin/tell",), (80, 90, 100), (30, 7))


def test_by_command(tmp_path) -> None:
    """Without a command that is set nothing is told, and that is said; --dry-run needs none."""
    home = furnished(tmp_path / "home")
    an_account(home)
    assert home.ok("warn", "--dry-run") == ""
    one_line(Home(home.path).run("warn"), 3, "names no command; set warn.command")
    (home.path / "config.yaml").write_text("warn: {command: [/bin/false]}\n")
    assert home.ok("warn") == ""
