"""slurm_voucher/protocol.py: one line each way, whatever bytes come in."""

import contextlib
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import InvalidInput
from slurm_voucher import protocol
from slurm_voucher.protocol import Question


def test_question() -> None:
    """Verb and decoded fields are read from a line."""
    line = b"1 HOLD hold=00ff uid=2001 voucher=CD26-0001 array=[1-3]%252 tres_per_node=\n"

    assert protocol.read(line) == Question(
        "HOLD",
        {"hold": "00ff", "uid": "2001", "voucher": "CD26-0001", "array": "[1-3]%2",
         "tres_per_node": ""},
    )  # fmt: skip


def test_ping_needs_no_fields() -> None:
    """A PING is its verb."""
    assert protocol.read(b"1 PING\n") == Question("PING", {})


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,32}", fullmatch=True), st.text(max_size=40)))
def test_every_value_comes_back(fields: dict[str, str]) -> None:
    """What is encoded is read back, whatever text it is."""
    pairs = "".join(f" {key}={protocol.encode(value)}" for key, value in fields.items())

    assert protocol.read(f"1 HOLD{pairs}\n".encode()) == Question("HOLD", fields)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\n", "is no question"),
        (b"1\n", "is no question"),
        (b"1 HOLD voucher=\xe5\n", "is no question"),
        (b"\x00\n", "is no question"),
        (b"0 PING\n", "version '0', this voucherd speaks 1; install"),
        (b"2 HOLD\n", "version '2', this voucherd speaks 1; install"),
        (b" 1 PING\n", "version ''"),
        (b"1 ping\n", "'ping' is no question; known: HOLD, MODIFY, DROP, PING, STATUS"),
        (b"1 HOLD\x00 a=1\n", "is no question; known"),
        (b"1 PING\r\n", "is no question; known"),
        (b"1 HOLD uid\n", "is no key=value"),
        (b"1 HOLD  uid=1\n", "is no key=value"),
        (b"1 HOLD uid=1 uid=1\n", "is no key=value given once"),
        (b"1 HOLD UID=1\n", "is no key=value"),
        (b"1 HOLD uid=%4\n", "is no key=value"),
        (b"1 HOLD uid=%e5\n", "is no key=value"),
        (b"1 HOLD uid=a=b\n", "is no key=value"),
        (b"1 HOLD uid=1\x00\n", "is no key=value"),
        (b"1 HOLD uid=1\t\n", "is no key=value"),
        (b"1 HOLD " + b"k" * 33 + b"=1\n", "is no key=value"),
    ],
)
def test_what_is_no_question(line: bytes, words: str) -> None:
    """What is no question of this version is refused in words of at most 200 bytes."""
    with pytest.raises(InvalidInput, match=words) as error:
        protocol.read(line)
    assert len(str(error.value).encode()) <= protocol.SAY_BYTES_MAX


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(line: bytes) -> None:
    """No bytes raise anything but the refusal."""
    for whole in (line, b"1 HOLD " + line):
        with contextlib.suppress(InvalidInput):
            protocol.read(whole)


KEYS = ["hold", "uid", "voucher", "missed", "array", "partition", "time_limit", "features"]


@given(
    st.from_regex(r"[0-9a-f]{31,33}", fullmatch=True),
    st.from_regex(r"[0-9]{1,11}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_%-]{1,33}", fullmatch=True),
    st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=10).map(protocol.encode))),
    st.binary(max_size=2),
)
def test_the_usual_question_is_read_as_any(
    hold: str, uid: str, voucher: str, rest: list[tuple[str, str]], odd: bytes
) -> None:
    """What is read the short way is what is read the long way, and what the short way refuses or
    leaves is refused or read there."""
    pairs = "".join(f" {key}={value}" for key, value in rest)
    line = f"1 HOLD hold={hold} uid={uid} voucher={voucher}{pairs}".encode() + odd + b"\n"
    try:
        fields = protocol.read(line).fields
    except InvalidInput:
        with contextlib.suppress(InvalidInput):
            assert protocol.usual(line) is None
        return
    short = protocol.usual(line)

    if short is not None:
        names = {"hold": short.id, "uid": str(short.uid), "voucher": short.voucher}
        assert names | short.asked.fields == fields | {"uid": str(int(fields["uid"]))}
        assert not short.asked.fields.keys() & protocol.NAMES


def test_the_usual_question() -> None:
    """What the hook asks of nearly all jobs is read the short way, and jobs that are alike as
    one."""
    lines = [
        f"1 HOLD hold={number:032x} uid=2001 voucher=CD26-0001 partition=ai time_limit=5\n"
        for number in (1, 2)
    ]
    first, second = (protocol.usual(line.encode()) for line in lines)

    assert first is not None
    assert second is not None
    assert (first.id, first.uid, first.voucher) == (f"{1:032x}", 2001, "CD26-0001")
    assert first.asked.fields == {"partition": "ai", "time_limit": "5"}
    assert second.asked is first.asked
    assert protocol.usual(lines[0].replace("time_limit", "missed").encode()) is None


@given(st.from_regex(r"[A-Za-z0-9 \-_.:/,+@*\[\]]{1,200}", fullmatch=True))
def test_held_is_answered_as_anything(say: str) -> None:
    """The answer to a hold, in plain words, is written as any other."""
    line = protocol.held("0" * 32, 1240, say)

    assert line == protocol.answer("YES", {"hold": "0" * 32, "held": "1240"}, say)


def test_answer() -> None:
    """An answer is one line, with what is said at its end."""
    line = protocol.answer("YES", {"hold": "ff", "held": "12"}, "held 1,240.00 yuan")

    assert line == b"1 YES hold=ff held=12 say=held%201%2C240.00%20yuan\n".replace(b"%2C", b",")


def test_answer_that_says_nothing() -> None:
    """An answer to a PING has no more than its word."""
    assert protocol.answer("YES", {}) == b"1 YES\n"


def said(line: bytes) -> str:
    """Return what an answer says to the user."""
    return unquote(line.decode("ascii").rstrip("\n").partition(" say=")[2])


def test_long_words_are_cut_between_characters() -> None:
    """What is said ends after at most 200 bytes, and never within a character."""
    assert said(protocol.answer("NO", {}, "a" + "券" * 100)) == "a" + "券" * 66


def test_control_characters_do_not_reach_the_terminal() -> None:
    """No newline and no escape of a terminal is said."""
    assert said(protocol.answer("NO", {}, "a\nb\x1b[31m\u202ec")) == "a?b?[31m?c"


@given(st.text(max_size=300), st.text(max_size=protocol.ID_BYTES_MAX // 4))
def test_answer_fits(say: str, job: str) -> None:
    """An answer is one line of ASCII of at most 1024 bytes, whatever is said of whatever job."""
    line = protocol.answer("NO", {"job": job, "code": "insufficient_balance"}, say)

    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert len(line) <= protocol.ANSWER_BYTES_MAX


def test_answer_names_the_longest_job_whole() -> None:
    """The longest job that a hook names is named whole; what is said gives way."""
    job = "%" * protocol.ID_BYTES_MAX
    line = protocol.answer("NO", {"job": job, "code": "insufficient_balance"}, "x" * 300)

    assert f"job={'%25' * protocol.ID_BYTES_MAX} ".encode() in line
    assert len(line) <= protocol.ANSWER_BYTES_MAX
