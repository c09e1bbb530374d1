"""Fuzz what voucherd is asked and what stands in AdminComments, with atheris: make fuzz.

Any bytes as a line from the hook: a question or a refusal in words, what its job can use at most
or why that is not known, and an answer of one line that the hook has room for. Any bytes as an
AdminComment: marks, or why there are none; and what is written is read again. Any words to
`svoucher quote`: what they ask for, or a refusal of one line. Any JSON from a user: a question
whose words are bounded, or a refusal of one line.
"""

import sys
from pathlib import Path

import atheris
import click

with atheris.instrument_imports(include=["slurm_voucher", "accounting"]):
    from accounting.errors import VoucherError
    from slurm_voucher import estimate, marks, protocol, userport
    from slurm_voucher.cli import sbatch

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakeslurm import CLUSTER


def question(data: bytes) -> None:
    """Ask as a hook would."""
    try:
        asked = protocol.read(data)
        for most in estimate.options(asked.fields, CLUSTER):
            assert most.limit_s > 0, most
            assert most.tasks > 0, most
        say = ""
    except VoucherError as error:
        say = str(error)
        assert say.isprintable(), say
    line = protocol.answer("YES", {"hold": "0" * 32, "held": "1"}, say)
    assert len(line) <= protocol.ANSWER_BYTES_MAX, line
    assert line.index(b"\n") == len(line) - 1, line


def comment(data: bytes) -> None:
    """Read an AdminComment, and write it again."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        own = marks.read(text)
    except ValueError:
        return
    if own.hold:
        again = marks.read(marks.write(text, own))
        assert again == own, (text, own, again)


def words(data: bytes) -> None:
    """Quote as sbatch would be asked, with words from a command line and a script's lines."""
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    line, _, script = text.partition("\n")
    try:
        own, rest = sbatch.split(line.split(" "))
        for lines in sbatch.directives(script.split("\n")):
            own += sbatch.of_line(lines)
        asked = sbatch.asked_by([own], rest)
        for most in estimate.options(asked.fields, CLUSTER):
            assert most.limit_s > 0, most
    except (VoucherError, click.UsageError) as error:
        assert str(error), text  # noqa: PT017


def by_port(data: bytes) -> None:
    """Ask as a user would, by the port."""
    try:
        asked = userport.question(data)
        for name in userport.WORDS:
            word = asked.get(name)
            assert word is None or (word.isprintable() and len(word) <= userport.WORD_MAX), word
        begin_s, end_s = userport.window(asked, "Asia/Shanghai", 1_800_000_000)
        assert begin_s < end_s, asked
    except VoucherError as error:
        assert str(error).isprintable(), error  # noqa: PT017


def once(data: bytes) -> None:
    """Try one input; the first byte says which."""
    known = {b"1": question, b"-": words, b"{": by_port}
    known.get(data[:1], comment)(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
