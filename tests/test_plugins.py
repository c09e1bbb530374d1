"""The C in plugins/, built with sanitizers, against a fake voucherd at the wire.

Nothing here needs a Slurm, only its headers. A harness loads the hook the way slurmctld does
and plays slurmctld to it; every misbehaviour of voucherd must end before the deadline, in words.
"""

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from slurm_voucher import protocol

PLUGINS = Path(__file__).parent.parent / "plugins"
HEADERS = Path(os.environ.get("SLURM_INCLUDE", "/usr/include"))
ACCOUNTING_POLICY = 2050  # slurm_errno.h, ESLURM_ACCOUNTING_POLICY
DEADLINE_MS = 200  # more than the shipped 50: the machine that tests may be busy
NO_ANSWER = (
    f"the voucher service did not answer within {DEADLINE_MS} ms; "
    "try again in a minute or tell the administrator"
)
Question = dict[str, str]


def make(*targets: str) -> str:
    """Run make in plugins/; a warning is an error there, and a missing header says what to do."""
    if not (HEADERS / "slurm" / "spank.h").exists() or not shutil.which("make"):
        pytest.fail(f"no slurm/spank.h below {HEADERS}, or no make: install libslurm-dev and make")
    done = subprocess.run(
        ["make", "-C", PLUGINS, f"SLURM_INCLUDE={HEADERS}", *targets],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build everything with ASan and UBSan."""
    folder = tmp_path_factory.mktemp("plugins")
    assert "test_wire: all so" in make("test", f"BUILD={folder}")
    return folder / "test"


class FakeVoucherd:
    """Speaks the wire in threads; `answer` maps a question to bytes, or to None for silence."""

    def __init__(self, path: Path) -> None:
        self.answer: Callable[[Question], bytes | None] = yes
        self.lines: list[bytes] = []
        self.questions: list[Question] = []
        self.connections: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                self.lines.append(line)
                question = read(line)
                self.questions.append(question)
                answer = self.answer(question)
                if answer is not None:
                    connection.sendall(answer)
                if answer == b"":
                    return

    def close(self) -> None:
        for end in (self.listener, *self.connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def read(line: bytes) -> Question:
    version, verb, *pairs = line.decode("ascii").removesuffix("\n").split(" ")
    assert version == "1"
    return {"verb": verb} | {key: unquote(value) for key, value in (p.split("=") for p in pairs)}


def echo(question: Question) -> str:
    key = "job" if question["verb"] == "MODIFY" else "hold"
    return f"{key}={quote(question[key])}"


def yes(question: Question) -> bytes:
    return f"1 YES {echo(question)} held=1240000000 say=held%201%2C240.00%20yuan\n".encode()


def no(question: Question) -> bytes:
    return f"1 NO {echo(question)} code=insufficient say=voucher%20X%3A%20too%20dear\n".encode()


@dataclass(frozen=True)
class Outcome:
    rc: int
    ms: float
    err: str
    admin: str
    held: bool


class Hook:
    """The hook inside its harness, one process; leaks and overruns fail the test at its end."""

    def __init__(self, build: Path, folder: Path, settings: str) -> None:
        (folder / "voucher.conf").write_text(settings)
        self.log_path = folder / "hook.log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [build / "test_hook", build / "job_submit_voucher.so"],
                env={**os.environ, "VOUCHER_CONF": str(folder / "voucher.conf")},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._line() == "ready\n", self.log

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def call(self, verb: str, *, threads: int = 1, **fields: object) -> list[Outcome]:
        words = [f"{key}={quote(str(value), safe='')}" for key, value in fields.items()]
        assert self.process.stdin
        self.process.stdin.write(" ".join([verb, f"threads={threads}", *words]) + "\n")
        self.process.stdin.flush()
        return [self._outcome() for _ in range(threads)]

    def _outcome(self) -> Outcome:
        line = self._line()
        assert line, self.log
        word = dict(pair.split("=", 1) for pair in line.rstrip("\n").split(" "))
        return Outcome(
            int(word["rc"]), int(word["us"]) / 1000, unquote(word["err"]), unquote(word["admin"]),
            word["priority"] == "0",
        )  # fmt: skip

    def submit(self, **fields: object) -> Outcome:
        return self.call("submit", **{"voucher": "CD24-0007", "uid": 1000, **fields})[0]

    def modify(self, **fields: object) -> Outcome:
        return self.call("modify", **{"job": "16_2", "uid": 1000, **fields})[0]

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        assert code == 0, self.log


class Site:
    """A folder with voucher.conf, a socket, and whoever stands at both ends."""

    def __init__(self, build: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self.build, self.folder, self.stack = build, folder, stack
        self.socket = folder / "v.sock"

    def hook(self, when: str = "closed", more: str = "") -> Hook:
        settings = f"socket = {self.socket}\nwhen_unavailable = {when}\n"
        hook = Hook(self.build, self.folder, f"{settings}deadline_ms = {DEADLINE_MS}\n{more}")
        self.stack.callback(hook.close)
        return hook

    def voucherd(self) -> FakeVoucherd:
        self.socket.unlink(missing_ok=True)
        voucherd = FakeVoucherd(self.socket)
        self.stack.callback(voucherd.close)
        return voucherd


@pytest.fixture
def site(build: Path, tmp_path: Path) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        yield Site(build, tmp_path, stack)


def test_the_plugins_install_and_export_only_what_slurm_looks_up(tmp_path: Path) -> None:
    """A site's build has no warning and puts two plugins where it was told."""
    make("install", f"BUILD={tmp_path}/b", f"DESTDIR={tmp_path}/root", "plugindir=/p")
    exported = {}
    for name in ("job_submit_voucher.so", "spank_voucher.so"):
        table = subprocess.run(
            ["nm", "-D", "--defined-only", tmp_path / "root" / "p" / name],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        exported[name] = {line.split()[-1] for line in table.stdout.splitlines()}
    common = {"plugin_name", "plugin_type", "plugin_version"}
    assert exported["job_submit_voucher.so"] == common | {
        "init", "fini", "job_submit", "job_modify"}  # fmt: skip
    assert exported["spank_voucher.so"] == common | {
        "spank_plugin_version", "slurm_spank_init", "slurm_spank_init_post_opt"}  # fmt: skip


def test_a_missing_header_is_named_with_the_package_that_has_it(tmp_path: Path) -> None:
    """Where libslurm-dev is missing, make says so instead of failing somewhere in C."""
    done = subprocess.run(
        ["make", "-C", PLUGINS, f"SLURM_INCLUDE={tmp_path}", f"BUILD={tmp_path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "install libslurm-dev" in done.stderr


def test_yes_writes_the_hold_into_admin_comment_and_tells_the_user(site: Site) -> None:
    """The hold id is made by the hook, 32 hex digits, and stands in question and comment."""
    voucherd, hook = site.voucherd(), site.hook()
    done = hook.submit()
    hold = voucherd.questions[0]["hold"]
    assert re.fullmatch("[0-9a-f]{32}", hold)
    assert done.rc == 0
    assert done.admin == f"voucher=CD24-0007;hold={hold};held=1240000000"
    assert done.err == "held 1,240.00 yuan"


def test_what_others_wrote_stays(site: Site) -> None:
    """An administrator's comment and an earlier plugin's message are kept in front of ours."""
    site.voucherd()
    done = site.hook().submit(admin_comment="project lake", err="from lua")
    assert done.admin.startswith("project lake voucher=CD24-0007;hold=")
    assert done.err == "from lua\nheld 1,240.00 yuan"


def test_every_priced_field_is_sent(site: Site) -> None:
    """voucherd gets exactly what the job says; what it does not say is absent, never 0."""
    voucherd, hook = site.voucherd(), site.hook()
    asked = {
        "uid": "1000", "voucher": "CD24-0007", "account": "p1", "partition": "ai,cpu", "qos": "q",
        "time_limit": "90", "time_min": "30", "min_nodes": "2", "max_nodes": "3",
        "num_tasks": "8", "cpus_per_task": "4", "ntasks_per_node": "4", "min_cpus": "32",
        "max_cpus": "64", "tres_per_job": "gres/gpu:8", "tres_per_node": "gres/gpu:ascend_910b:2",
        "tres_per_socket": "gres/gpu:1", "tres_per_task": "gres/gpu=1", "array": "1-3,7%2",
        "features": "a&b|[c*2] 券", "begin_s": "1719792000", "cpus_per_tres": "gres/gpu:4",
        "mem_per_tres": "gres/gpu:1024", "pn_min_cpus": "16", "req_nodes": "ai[1-2]",
        "ntasks_per_tres": "2",
    }  # fmt: skip
    assert hook.submit(**asked, shared=0, memory=4096).rc == 0
    assert hook.submit(memory=(1 << 63) + 512, time_limit=0xFFFFFFFF, max_nodes=0).rc == 0
    first, second = voucherd.questions
    assert first == {
        "verb": "HOLD",
        "hold": first["hold"],
        "exclusive": "1",
        "mem_per_node_mb": "4096",
        **asked,
    }
    assert second == {
        "verb": "HOLD", "hold": second["hold"], "uid": "1000", "voucher": "CD24-0007",
        "mem_per_cpu_mb": "512", "time_limit": "unlimited",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"core_spec": 2}, {"exclusive": "1"}),
        ({"threads_per_core": 1}, {"cores_alone": "1"}),
        ({"ntasks_per_core": 1}, {"cores_alone": "1"}),
        ({"core_spec": 0xFFFF, "threads_per_core": 0, "ntasks_per_core": 0xFFFF}, {}),
    ],
)
def test_what_makes_slurm_give_more_is_said(
    site: Site, field: dict[str, int], said: Question
) -> None:
    """Cores for the system alone are whole nodes; tasks alone on their cores are said to be."""
    voucherd = site.voucherd()
    assert site.hook().submit(**field).rc == 0
    [question] = voucherd.questions
    assert question.keys() & {"exclusive", "cores_alone"} == said.keys()


def test_hook_and_voucherd_speak_the_same_wire(site: Site) -> None:
    """The daemon's own reader and writer agree with the C, byte for byte."""
    voucherd = site.voucherd()
    said = "券 CD24-0007: 100 % held; 1,240.00 yuan ~ = ok"
    voucherd.answer = lambda q: protocol.answer("YES", {"hold": q["hold"], "held": "1"}, said)
    assert site.hook().submit(features="a&b 券=1").err == said
    question = protocol.read(voucherd.lines[0])
    assert question.verb == "HOLD"
    assert question.fields["features"] == "a&b 券=1"


def test_no_is_repeated_to_the_user(site: Site) -> None:
    """A refusal is voucherd's sentence, word by word, and leaves the job without a hold."""
    voucherd = site.voucherd()
    voucherd.answer = no
    done = site.hook("open").submit()
    assert (done.rc, done.err, done.admin) == (ACCOUNTING_POLICY, "voucher X: too dear", "")


def test_a_job_without_voucher_is_left_alone(site: Site) -> None:
    """Nobody is asked and nothing is written, whatever the state of voucherd."""
    done = site.hook().call("submit", uid=1000, env="", spank_env="")[0]
    assert (done.rc, done.err, done.admin) == (0, "", "")


def default(question: Question) -> bytes:
    """Answer as voucherd does where a job names no voucher: by its partition."""
    voucher = "CD24-0009" if question.get("partition") != "cpu" else "-"
    held = " held=5 say=yours" if voucher != "-" else ""
    return f"1 YES {echo(question)} voucher={voucher}{held}\n".encode()


@pytest.mark.parametrize("partition", [{"partition": "ai"}, {"partition": "x,sc"}, {}])
def test_a_job_without_voucher_gets_its_users_own(site: Site, partition: Question) -> None:
    """Where the site says so voucherd is asked; a job that names no partition may be there, too."""
    voucherd, hook = site.voucherd(), site.hook(more="ask_for = ai,sc\n")
    voucherd.answer = default
    done = hook.call("submit", uid=1000, **partition)[0]
    hold = voucherd.questions[0]["hold"]
    assert (done.rc, done.err) == (0, "yours")
    assert done.admin == f"voucher=CD24-0009;hold={hold};held=5"
    assert "voucher" not in voucherd.questions[0]


def test_a_job_that_is_no_vouchers_business_is_left_as_it_is(site: Site) -> None:
    """voucherd says `-`: nothing is written, nothing is said."""
    voucherd, hook = site.voucherd(), site.hook(more="ask_for = cpu\n")
    voucherd.answer = default
    done = hook.call("submit", uid=1000, partition="cpu")[0]
    assert (done.rc, done.err, done.admin) == (0, "", "")
    assert len(voucherd.questions) == 1


@pytest.mark.parametrize("partition", ["a", "aii", "i", ",", "s,c", "ai x"])
def test_other_partitions_are_not_asked_about(site: Site, partition: str) -> None:
    """A partition is the whole name, not a part of one."""
    voucherd, hook = site.voucherd(), site.hook(more="ask_for = ai,sc\n")
    assert hook.call("submit", uid=1000, partition=partition)[0].rc == 0
    assert voucherd.questions == []


@pytest.mark.parametrize("answer", ["voucher=a%20b held=1", "voucher=%1B held=1", "voucher="])
def test_a_voucher_that_is_none_is_no_answer(site: Site, answer: str) -> None:
    """What stands in AdminComment decides who pays: an odd name is not written there."""
    voucherd, hook = site.voucherd(), site.hook(more="ask_for = ai\n")
    voucherd.answer = lambda q: f"1 YES {echo(q)} {answer}\n".encode()
    done = hook.call("submit", uid=1000, partition="ai")[0]
    assert (done.rc, done.admin) == (ACCOUNTING_POLICY, "")
    assert done.err == f"voucher: {NO_ANSWER}"


def test_a_job_without_voucher_is_let_in_unmarked(site: Site) -> None:
    """In mode open nobody answers, and nobody said that a voucher pays."""
    done = site.hook("open", "ask_for = ai\n").call("submit", uid=1000, partition="ai")[0]
    assert (done.rc, done.err, done.admin) == (0, "", "")


@pytest.mark.parametrize("voucher", ["CD24-0007", None])
def test_a_job_waits_where_the_site_says_so(site: Site, voucher: str | None) -> None:
    """In mode queue a job without an answer is held, marked and told why."""
    hook = site.hook("queue", "ask_for = ai\n")
    named = {"voucher": voucher} if voucher else {}
    done = hook.call("submit", uid=1000, partition="ai", **named)[0]
    assert (done.rc, done.held) == (0, True)
    assert done.err == "voucher: the job waits until the voucher service is back"
    assert re.fullmatch(f"voucher={voucher or '-'};hold=[0-9a-f]{{32}};held=wait", done.admin)
    assert "made to wait; 1 unanswered so far" in hook.log


def test_a_job_that_its_user_holds_is_marked_so(site: Site) -> None:
    """In mode queue a job that is submitted held is not one that is let go by itself."""
    done = site.hook("queue").submit(priority=0)
    assert (done.rc, done.held) == (0, True)
    assert done.admin.endswith(";held=own")


@pytest.mark.parametrize(
    ("mode", "uid", "priority", "asked"),
    [
        ("queue", 1000, 0xFFFFFFFF, True),
        ("queue", 1000, 0, False),
        ("queue", 1000, 0xFFFFFFFE, False),
        ("queue", 0, 0xFFFFFFFF, False),
        ("closed", 1000, 0xFFFFFFFF, False),
        ("open", 1000, 0xFFFFFFFF, False),
    ],
)
def test_a_job_that_was_made_to_wait_is_not_released_unasked(
    site: Site, mode: str, uid: int, priority: int, asked: bool
) -> None:
    """To Slurm it is held by its user: in mode queue a release is asked about, and refused where
    nobody answers. Nothing else is, and neither is root's."""
    away = site.hook(mode).modify(uid=uid, priority=priority)
    assert away.rc == (ACCOUNTING_POLICY if asked else 0)
    voucherd = site.voucherd()
    assert site.hook(mode).modify(uid=uid, priority=priority).rc == 0
    assert [question.get("release") for question in voucherd.questions] == ["1"] * asked


def test_a_move_to_where_the_site_asks_for_vouchers_is_said(site: Site) -> None:
    """voucherd hears of a move to a partition of ask_for, and of no other one."""
    voucherd, hook = site.voucherd(), site.hook(more="ask_for = ai\n")
    for partition in ({"partition": "ai"}, {"partition": "cpu"}, {}):
        assert hook.modify(time_limit=1, **partition).rc == 0
    assert [question.get("asked_for") for question in voucherd.questions] == ["1", None, None]


def test_a_change_does_not_wait(site: Site) -> None:
    """In mode queue a change without an answer is refused: a job cannot be held for it."""
    done = site.hook("queue").modify(time_limit=600)
    assert done.rc == ACCOUNTING_POLICY


def test_an_answered_job_does_not_wait(site: Site) -> None:
    """In mode queue a job with its hold goes its way."""
    site.voucherd()
    assert not site.hook("queue").submit().held


def test_a_voucher_lets_in_no_more_than_its_most(site: Site) -> None:
    """Each voucher has a limit of jobs without a hold, until voucherd answers again."""
    hook = site.hook("open", "open_most = 2\nbreaker_misses = 100\n")
    assert [hook.submit().rc for _ in range(3)] == [0, 0, ACCOUNTING_POLICY]
    third = hook.submit()
    assert third.err.startswith("voucher CD24-0007: 2 of its jobs were let in while the voucher")
    assert hook.submit(voucher="CD24-0008").rc == 0
    voucherd = site.voucherd()
    assert hook.submit().admin.endswith("held=1240000000")
    voucherd.answer = lambda q: b""
    assert [hook.submit().rc for _ in range(3)] == [0, 0, ACCOUNTING_POLICY]


def test_vouchers_beyond_the_table_are_refused(site: Site) -> None:
    """The table does not grow: names that somebody makes up cannot fill slurmctld's memory."""
    hook = site.hook("open", "breaker_misses = 1\n")
    codes = [hook.submit(voucher=f"V{n}", uid=1000 + n // 16).rc for n in range(520)]
    assert codes == [0] * 512 + [ACCOUNTING_POLICY] * 8


def test_one_user_does_not_fill_the_table(site: Site) -> None:
    """Of names that one user makes up a few are let in, and those of others still are."""
    hook = site.hook("open", "breaker_misses = 1\n")
    codes = [hook.submit(voucher=f"V{number}").rc for number in range(20)]
    assert codes == [0] * 16 + [ACCOUNTING_POLICY] * 4
    assert hook.submit(voucher="V0").rc == 0
    assert hook.submit(voucher="V20", uid=1001).rc == 0


def test_voucherd_is_told_once_what_was_missed(site: Site) -> None:
    """The next question that is answered says how many before had no answer."""
    hook = site.hook("open")
    for _ in range(2):
        hook.submit()
    voucherd = site.voucherd()
    for _ in range(2):
        hook.submit()
    assert [question.get("missed") for question in voucherd.questions] == ["2", None]


def test_a_heterogeneous_job_leaves_no_hold_when_a_part_is_refused(site: Site) -> None:
    """Holds of the parts before the refused one are given back, last first."""
    voucherd, hook = site.voucherd(), site.hook()
    answers = {"sc": no}
    voucherd.answer = lambda q: answers.get(q.get("partition", ""), yes)(q)
    for het, partition in enumerate(("ai", "ai", "sc")):
        hook.call("submit", voucher="CD24-0007", uid=1000, het=het, partition=partition)
    first, second, _, *dropped = voucherd.questions
    assert [question["verb"] for question in dropped] == ["DROP", "DROP"]
    assert [question["hold"] for question in dropped] == [second["hold"], first["hold"]]
    assert {question["uid"] for question in dropped} == {"1000"}


def test_giving_holds_back_takes_no_longer_than_the_deadline(site: Site) -> None:
    """slurmctld waits for one deadline, however many parts a refused job has."""
    voucherd, hook = site.voucherd(), site.hook(more="breaker_misses = 1000\n")
    for het in range(40):
        assert hook.submit(het=het).rc == 0

    def slow(question: Question) -> bytes:
        time.sleep(0.04)
        return no(question) if question["verb"] == "HOLD" else yes(question)

    voucherd.answer = slow
    done = hook.submit(het=40)
    assert (done.rc, done.err) == (ACCOUNTING_POLICY, "voucher X: too dear")
    assert done.ms < DEADLINE_MS + 100
    assert len([q for q in voucherd.questions if q["verb"] == "DROP"]) >= 2


def test_a_whole_heterogeneous_job_keeps_its_holds(site: Site) -> None:
    """Nothing is given back of a job that came before, or of one without parts."""
    voucherd, hook = site.voucherd(), site.hook()
    for het in (0, 1, 0):
        hook.call("submit", voucher="CD24-0007", uid=1000, het=het)
    voucherd.answer = no
    hook.submit()
    hook.call("submit", voucher="CD24-0007", uid=1000, het=0)
    hook.call("submit", voucher="CD24-0007", uid=1000, het=1)
    assert [question["verb"] for question in voucherd.questions] == ["HOLD"] * 6


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"voucher": "A", "spank_env": "B", "env": "C"}, "A"),
        ({"spank_env": "B", "env": "C"}, "B"),
        ({"spank_env": "", "env": "C"}, "C"),
        ({"env": "C"}, "C"),
    ],
)
def test_the_option_wins_over_the_variable(site: Site, given: dict[str, str], asked: str) -> None:
    """--voucher, then SLURM_VOUCHER by SPANK, then SLURM_VOUCHER in the environment."""
    voucherd = site.voucherd()
    assert site.hook().call("submit", uid=1000, **given)[0].rc == 0
    assert voucherd.questions[0]["voucher"] == asked


@pytest.mark.parametrize("name", ["", "a b", "a;hold=1", "券", "\x1b[2J", "x" * 33, "x" * 5000])
def test_a_malformed_name_is_refused_unasked_and_unrepeated(site: Site, name: str) -> None:
    """The user's bytes reach neither voucherd nor the log nor a terminal."""
    voucherd, hook = site.voucherd(), site.hook("open")
    done = hook.submit(voucher=name)
    assert done.rc == ACCOUNTING_POLICY
    assert done.err.startswith("voucher: the name given is not 1 to 32 of")
    assert voucherd.questions == []
    assert hook.log.isascii()
    assert "\x1b" not in hook.log


def test_a_question_that_does_not_fit_is_refused_in_words(site: Site) -> None:
    """Nothing is cut: half an array would be half a price."""
    voucherd = site.voucherd()
    done = site.hook("open").submit(array=",".join(str(n) for n in range(0, 4000, 2)))
    assert done.rc == ACCOUNTING_POLICY
    assert "is over 4096 bytes; shorten --array" in done.err
    assert voucherd.questions == []


def test_cards_that_only_ntasks_per_gpu_implies_are_refused(site: Site) -> None:
    """Slurm works them out after the hook: asking would hold nothing for them."""
    site.voucherd()
    hook = site.hook()
    assert "ask for them with --gpus" in hook.submit(ntasks_per_tres=2, num_tasks=8).err
    assert hook.submit(ntasks_per_tres=2, tres_per_job="gres/gpu:4").rc == 0


def flood(question: Question) -> bytes:
    return b"1 YES " + echo(question).encode() + b" held=1 say=" + b"x" * 2000 + b"\n"


MISBEHAVIOURS: dict[str, Callable[[Question], bytes | None]] = {
    "silence": lambda q: None,
    "closed": lambda q: b"",
    "garbage": lambda q: b"\x00\xff\x1b[2J garbage\n",
    "wrong echo": lambda q: b"1 YES hold=" + b"0" * 32 + b" job=1 held=1 say=a\n",
    "another version": lambda q: b"2" + yes(q)[1:],
    "half a line": lambda q: yes(q)[:-1],
    "two lines": lambda q: yes(q) * 2,
    "more than a line": lambda q: yes(q) + b"1 YES",
    "flood": flood,
    "terminal escape": lambda q: f"1 YES {echo(q)} held=1 say=%1B%5B2J\n".encode(),
    "no sum": lambda q: f"1 YES {echo(q)} say=a\n".encode() if "hold" in q else b"1 YES\n",
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
@pytest.mark.parametrize("when", ["closed", "open"])
def test_what_is_no_answer_ends_before_the_deadline(site: Site, name: str, when: str) -> None:
    """Closed refuses in words, open lets in with an unknown sum; both are logged and counted."""
    voucherd, hook = site.voucherd(), site.hook(when)
    voucherd.answer = MISBEHAVIOURS[name]
    submitted, modified = hook.submit(), hook.modify(time_limit=600)
    assert max(submitted.ms, modified.ms) < DEADLINE_MS + 100
    if when == "closed":
        assert submitted.rc == modified.rc == ACCOUNTING_POLICY
        assert submitted.err == f"voucher CD24-0007: {NO_ANSWER}"
        assert submitted.admin == ""
    else:
        assert submitted.rc == modified.rc == 0
        assert submitted.err == ""
        assert re.fullmatch("voucher=CD24-0007;hold=[0-9a-f]{32};held=[?]", submitted.admin)
    state = "refused" if when == "closed" else "let in"
    assert re.search(f"no answer: voucher CD24-0007: .*: {state}; 1 unanswered so far", hook.log)
    assert re.search(f"no answer: job 16_2: .*: {state}; 2 unanswered so far", hook.log)
    assert "\x1b" not in hook.log


def test_a_late_answer_is_never_taken_for_the_next_question(site: Site) -> None:
    """After a miss the connection is gone, and with it what may still come through it."""
    voucherd, hook = site.voucherd(), site.hook()
    release = threading.Event()

    def late(question: Question) -> bytes:
        release.wait(30)
        return yes(question)

    voucherd.answer = late
    assert hook.submit().rc == ACCOUNTING_POLICY
    release.set()
    done = hook.submit()
    assert done.rc == 0
    assert f"hold={voucherd.questions[-1]['hold']}" in done.admin


def drip(connection: socket.socket) -> None:
    """Send a byte every 3 ms, and never the newline."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            for byte in b"1 YES hold=0":
                connection.sendall(bytes([byte]))
                time.sleep(0.003)


@pytest.mark.parametrize("how", ["silence", "slow", "drip"])
def test_a_question_ends_within_a_millisecond_of_its_deadline(site: Site, how: str) -> None:
    """As the median: what one wake-up costs is the machine's."""
    voucherd = site.voucherd()
    hook = site.hook(more="deadline_ms = 20\nbreaker_misses = 1000\n")

    def slow(question: Question) -> bytes:
        time.sleep(0.03)
        return yes(question)

    voucherd.answer = slow if how == "slow" else lambda q: None
    if how == "drip":
        voucherd._serve = drip
    over = sorted(hook.submit().ms - 20 for _ in range(21))
    assert over[0] >= 0
    assert over[10] < 1, over


def test_a_full_backlog_is_told_at_once(site: Site) -> None:
    """Where voucherd accepts nobody any more the kernel says so, and nobody waits."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(site.socket))
        listener.listen(0)
        for _ in range(8):  # the kernel takes one or two more than the backlog says
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            full = client.connect_ex(str(site.socket))
        assert full == errno.EAGAIN
        hook = site.hook()
        done = sorted(hook.submit().ms for _ in range(3))
    assert done[1] < DEADLINE_MS / 2
    assert "voucher CD24-0007: cannot connect: refused; 1 unanswered" in hook.log
    assert "not asking for 10000 ms after 3 misses in a row" in hook.log


def test_a_socket_without_anybody_is_told_at_once(site: Site) -> None:
    """A voucherd that was killed leaves its socket in the folder."""
    voucherd, hook = site.voucherd(), site.hook()
    assert hook.submit().rc == 0
    voucherd.close()
    assert site.socket.exists()
    done = hook.submit()
    assert (done.rc, done.err) == (ACCOUNTING_POLICY, f"voucher CD24-0007: {NO_ANSWER}")
    assert done.ms < DEADLINE_MS / 2


def test_nobody_at_the_socket_is_told_at_once(site: Site) -> None:
    """No voucherd at all costs no waiting."""
    done = site.hook().submit()
    assert done.err == f"voucher CD24-0007: {NO_ANSWER}"
    assert done.ms < DEADLINE_MS / 2


STOPPABLE = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(8)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    hold = connection.recv(4096).split()[2]
    connection.sendall(b"1 YES " + hold + b" held=1 say=a\\n")
"""


def test_a_stopped_voucherd_costs_the_deadline_and_no_more(site: Site) -> None:
    """With SIGSTOP the kernel still accepts and takes the question; the clock decides."""
    command = [sys.executable, "-c", STOPPABLE, str(site.socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as voucherd:
        try:
            assert voucherd.stdout
            assert voucherd.stdout.readline() == b"ready\n"
            hook = site.hook()
            assert hook.submit().rc == 0
            voucherd.send_signal(signal.SIGSTOP)
            done = hook.submit()
        finally:
            voucherd.kill()
    assert done.rc == ACCOUNTING_POLICY
    assert DEADLINE_MS <= done.ms < DEADLINE_MS + 100


def memory_kb(hook: Hook) -> int:
    """Return how much memory the process with the hook has."""
    status = Path(f"/proc/{hook.process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match
    return int(match[1])


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_memory_does_not_grow(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 submits, answered and not, leave slurmctld as large as the first 5,000 did; what
    is not reachable any more LeakSanitizer finds at the end of each of these tests."""
    monkeypatch.setenv("ASAN_OPTIONS", "quarantine_size_mb=1")
    voucherd = site.voucherd()
    voucherd.answer = lambda q: (voucherd.lines.clear(), voucherd.questions.clear(), yes(q))[-1]
    hook = site.hook("open", "deadline_ms = 5000\nbreaker_open_ms = 600000\n")
    sizes = []
    for times in (5_000, 45_000):
        assert hook.submit(times=times).admin
        sizes.append(memory_kb(hook))
    voucherd.close()
    for times in (5_000, 45_000):
        hook.submit(times=times)
        sizes.append(memory_kb(hook))

    assert max(sizes) < sizes[0] + 2_000, sizes


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_valgrind_finds_nothing(site: Site, tmp_path: Path) -> None:
    """100,000 submits, answered and not, read nothing unset and leave nothing behind."""
    plain = tmp_path / "plain"
    make(f"{plain}/test/test_hook", f"BUILD={plain}", "SANITIZE=-O1 -g")
    voucherd = site.voucherd()
    voucherd.answer = lambda q: (voucherd.lines.clear(), voucherd.questions.clear(), yes(q))[-1]
    conf = site.folder / "voucher.conf"
    conf.write_text(
        f"socket = {site.socket}\nwhen_unavailable = open\ndeadline_ms = 5000\nask_for = ai\n"
        "breaker_open_ms = 600000\nopen_most = 1000000\n"
    )
    with subprocess.Popen(
        ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,possible",
         "--errors-for-leak-kinds=definite,possible", "--error-exitcode=9",
         plain / "test" / "test_hook", plain / "test" / "job_submit_voucher.so"],
        env={**os.environ, "VOUCHER_CONF": str(conf)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        log: list[str] = []
        stderr = process.stderr
        reader = threading.Thread(
            target=lambda: log.extend(
                line
                for line in stderr
                if line.startswith("==") or "70000 unanswered so far" in line
            )
        )
        reader.start()
        assert process.stdout.readline() == "ready\n"
        told = []
        for voucher, times in (("voucher=A ", 20_000), ("", 10_000), ("voucher=A ", 70_000)):
            if times == 70_000:
                voucherd.close()
            process.stdin.write(f"submit {voucher}times={times} uid=1 partition=ai\n")
            process.stdin.flush()
            told.append(process.stdout.readline())
        process.stdin.close()
        code = process.wait(timeout=240)
        reader.join()
    assert code == 0, log
    assert len(log) == 1, log  # every miss was one, and valgrind said nothing
    assert [line.startswith("rc=0 ") for line in told] == [True] * 3, told
    assert "held=?" in told[2]


def test_corpus_of_the_fuzzer(build: Path) -> None:
    """Everything that the fuzzer has found of interest is parsed without a fault."""
    corpus = sorted((PLUGINS / "corpus").iterdir())
    assert len(corpus) > 5
    done = subprocess.run(
        [build / "test_corpus", *corpus], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_breaker_opens_after_three_misses_and_closes_again(site: Site) -> None:
    """While it is open nobody waits and nobody is asked; one good answer closes it."""
    voucherd, hook = site.voucherd(), site.hook(more="breaker_open_ms = 1000\n")
    voucherd.answer = lambda q: None
    waited = [hook.submit().ms >= DEADLINE_MS for _ in range(3)]
    assert waited == [True, True, True]
    voucherd.answer = yes
    opened_at = time.monotonic()
    done = hook.submit()
    assert (done.rc, done.err) == (ACCOUNTING_POLICY, f"voucher CD24-0007: {NO_ANSWER}")
    assert done.ms < DEADLINE_MS / 2
    assert len(voucherd.questions) == 3
    assert hook.log.count("not asking for 1000 ms after 3 misses in a row") == 1
    while hook.submit().rc != 0:
        assert time.monotonic() < opened_at + 10, hook.log
    assert time.monotonic() > opened_at + 0.7
    assert "voucherd answers again" in hook.log


def test_one_question_alone_tries_whether_voucherd_is_back(site: Site) -> None:
    """When the breaker has been open for its time one job waits for all; the others go on."""
    voucherd = site.voucherd()
    hook = site.hook(more="breaker_misses = 1\nbreaker_open_ms = 1000\n")
    voucherd.answer = lambda q: None
    assert hook.submit().ms >= DEADLINE_MS
    time.sleep(1.1)
    done = hook.call("submit", threads=32, voucher="CD24-0007", uid=1000)
    assert len(voucherd.questions) == 2
    assert len([d for d in done if d.ms >= DEADLINE_MS / 2]) == 1


def test_two_misses_do_not_open_the_breaker(site: Site) -> None:
    """Misses count in a row: an answer between them starts the count anew."""
    voucherd, hook = site.voucherd(), site.hook()
    for answer in (None, None, yes, None, None, yes):
        voucherd.answer = answer or (lambda q: b"")
        assert hook.submit().rc == (0 if answer else ACCOUNTING_POLICY)
    assert "misses in a row" not in hook.log


def test_connections_are_kept(site: Site) -> None:
    """A new connection per question would cost voucherd more than the question; one after the
    other needs but one."""
    voucherd, hook = site.voucherd(), site.hook()
    assert all(hook.submit().rc == 0 for _ in range(20))
    assert len(voucherd.connections) == 1


def test_a_restarted_voucherd_costs_no_job(site: Site) -> None:
    """A kept connection that turns out closed is made anew once, within the same deadline."""
    voucherd, hook = site.voucherd(), site.hook()
    assert all(hook.submit().rc == 0 for _ in range(4))
    voucherd.close()
    site.voucherd()
    assert all(hook.submit().rc == 0 for _ in range(4))
    assert "no answer" not in hook.log


def test_hooks_in_many_threads_each_get_their_own_answer(site: Site) -> None:
    """From 23.02 slurmctld runs several hooks at once; answers must not cross."""
    voucherd, hook = site.voucherd(), site.hook(more="deadline_ms = 5000\n")
    done = hook.call("submit", threads=64, voucher="CD24-0007", uid=1000)
    assert [d.rc for d in done] == [0] * 64
    holds = {re.sub(".*;hold=(.*);.*", r"\1", d.admin) for d in done}
    assert holds == {q["hold"] for q in voucherd.questions}
    assert len(holds) == 64
    assert len(voucherd.connections) <= 4


def test_a_stalled_voucherd_holds_many_threads_no_longer_than_one(site: Site) -> None:
    """The deadline counts the wait for a connection too."""
    voucherd, hook = site.voucherd(), site.hook()
    voucherd.answer = lambda q: None
    done = hook.call("submit", threads=32, voucher="CD24-0007", uid=1000)
    assert {d.rc for d in done} == {ACCOUNTING_POLICY}
    assert max(d.ms for d in done) < DEADLINE_MS + 100


def test_a_change_that_moves_no_price_is_not_asked(site: Site) -> None:
    """Hold, release, comment and the throttle of an array pass without voucherd."""
    done = site.hook().modify(priority=0, comment="mine", array="5", job="1," * 200)
    assert (done.rc, done.err) == (0, "")


def test_a_priced_change_is_asked_with_only_what_changes(site: Site) -> None:
    """uid is who asks, an administrator too; the hold keeps its place in admin_comment."""
    voucherd, hook = site.voucherd(), site.hook()
    done = hook.modify(uid=0, time_limit=600, tres_per_node="")
    assert (done.rc, done.admin) == (0, "")
    assert voucherd.questions == [
        {"verb": "MODIFY", "job": "16_2", "uid": "0", "time_limit": "600", "tres_per_node": ""}
    ]


def test_a_refused_change_is_refused(site: Site) -> None:
    """Where Slurm has no way to tell the user (22.05) the sentence stands in the log."""
    voucherd, hook = site.voucherd(), site.hook("open")
    voucherd.answer = no
    done = hook.modify(job="16_[1-3]", time_limit=600)
    assert done.rc == ACCOUNTING_POLICY
    assert done.err in ("", "voucher X: too dear")
    assert "refused: voucher X: too dear" in hook.log


@pytest.mark.parametrize("job", ["16 2", "\x1b[2J", "1," * 200])
def test_a_job_id_that_is_none_is_refused_unrepeated(site: Site, job: str) -> None:
    """It comes from the client as text and would stand in the log."""
    hook = site.hook("open")
    assert hook.modify(job=job, time_limit=600).rc == ACCOUNTING_POLICY
    assert "the job id is over 256 bytes or not one" in hook.log
    assert "\x1b" not in hook.log


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("", "set socket and when_unavailable"),
        ("socket = /run/v.sock\n", "set socket and when_unavailable"),
        ("when_unavailable = open\n", "set socket and when_unavailable"),
        ("socket = v.sock\nwhen_unavailable = open\n", "line 1: unknown key or bad value"),
        ("when_unavailable = maybe\n", "line 1: unknown key or bad value"),
        ("# a comment\n\nwhen_unavailble = open\n", "line 3: unknown key or bad value"),
        ("deadline_ms = 0\n", "line 1: unknown key or bad value"),
        ("deadline_ms = 50ms\n", "line 1: unknown key or bad value"),
        ("deadline_ms = -1\n", "line 1: unknown key or bad value"),
        ("deadline_ms = 4294967346\n", "line 1: unknown key or bad value"),
        ("deadline_ms 50\n", "line 1: unknown key or bad value"),
        ("socket = /a /b\n", "line 1: unknown key or bad value"),
        ("socket = /" + "a" * 120 + "\n", "line 1: unknown key or bad value"),
    ],
)
def test_a_setting_that_is_not_understood_stops_the_load(
    site: Site, settings: str, says: str
) -> None:
    """slurmctld does not start with a hook that guesses what a site meant."""
    conf = site.folder / "voucher.conf"
    conf.write_text(settings)
    done = subprocess.run(
        [site.build / "test_hook", site.build / "job_submit_voucher.so"],
        env={**os.environ, "VOUCHER_CONF": str(conf)},
        capture_output=True, text=True, check=False, input="",
    )  # fmt: skip
    assert done.returncode == 1
    assert f"settings: {conf}" in done.stderr
    assert says in done.stderr


def test_settings_are_found_beside_slurm_conf(site: Site) -> None:
    """$VOUCHER_CONF first, then the folder of $SLURM_CONF."""
    (site.folder / "voucher.conf").write_text("socket=/run/v.sock # why\nwhen_unavailable=open")
    env = {key: value for key, value in os.environ.items() if key != "VOUCHER_CONF"}
    done = subprocess.run(
        [site.build / "test_hook", site.build / "job_submit_voucher.so"],
        env={**env, "SLURM_CONF": str(site.folder / "slurm.conf")},
        capture_output=True, text=True, check=False, input="",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr
