"""slurm_voucher/marks.py: what stands in AdminComment of ours, beside what others write there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurm_voucher import marks
from slurm_voucher.marks import Marks

ENDS = "frozen@2024-07-01T10:00:00+08:00"
OWN = Marks("CD24-0001", "1" * 32, 5)


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("", marks.NONE),
        (f"voucher=A;hold={'1' * 32};held=7", Marks("A", "1" * 32, 7)),
        (f"voucher=A;hold={'1' * 32};held=?", Marks("A", "1" * 32, None)),
        (f"voucher=-;hold={'1' * 32};held=wait", Marks(None, "1" * 32, None, "unasked")),
        (f"voucher=-;hold={'1' * 32};held=own", Marks(None, "1" * 32, None, "own")),
        (f"voucher=A;hold={'1' * 32};held=7;waits=frozen", Marks("A", "1" * 32, 7, "frozen")),
        ("lake waits=x | held=3", Marks(None, None, 3, "x")),
        (f"voucher=A;held=7;ends={ENDS}", Marks("A", None, 7, ends=ENDS)),
        ("ends=friday ends=x@2024-07-01T10:00:00 held=3", Marks(None, None, 3)),
        ("voucher=-;self_pay=frozen;waits=z", Marks(None, None, None, "z", "frozen")),
    ],
)
def test_read(comment: str, found: Marks) -> None:
    """Each mark is found, in whatever company."""
    assert marks.read(comment) == found


@pytest.mark.parametrize(
    "comment",
    ["held=soon", "held=-1", "voucher=A voucher=B", f"ends={ENDS};ends=x{ENDS}"],
)
def test_marks_that_are_none(comment: str) -> None:
    """What says two things, or an amount that is none, is refused."""
    with pytest.raises(ValueError, match="says"):
        marks.read(comment)


@pytest.mark.parametrize(
    ("comment", "after"),
    [
        ("", ""),
        ("lake", "lake "),
        (f"voucher=A;hold={'1' * 32};held=wait", ""),
        (f"lake; x=1 | voucher=A;hold={'1' * 32};held=?", "lake; x=1 | "),
        (f"voucher=A;hold={'1' * 32};held=?;waits=z other=2", "other=2 "),
        ("myvoucher=5", "myvoucher=5 "),
        (f"voucher=A;ends=friday;ends={ENDS}", "ends=friday; "),
    ],
)
def test_write_leaves_the_rest(comment: str, after: str) -> None:
    """Marks of ours are replaced; what others wrote stands before them as it was."""
    own = f"voucher=CD24-0001;hold={'1' * 32};held=5"
    assert marks.write(comment, OWN) == after + own
    assert marks.write(comment, OWN._replace(waits="x")) == f"{after}{own};waits=x"


def test_who_pays_for_itself_names_no_voucher() -> None:
    """Voucher and hold give way to the word that it goes on without them."""
    own = Marks(None, None, None, None, "frozen")
    text = marks.write(f"lake voucher=A;hold={'1' * 32};held=7;waits=x", own)
    assert text == "lake voucher=-;self_pay=frozen"
    assert marks.read(text) == own


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_what_is_written_is_read(others: str, waits: bool) -> None:
    """Whatever others wrote, our marks come back, and writing them twice is writing them once."""
    own = OWN._replace(waits="x", ends=ENDS) if waits else OWN
    text = marks.write(others, own)
    assert marks.read(text) == own
    assert marks.write(text, own) == text
