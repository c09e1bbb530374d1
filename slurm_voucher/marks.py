"""Read what the submit hook writes into a job's AdminComment: voucher=ID;hold=ID;held=MICRO.

Other tools write there, too; what they write is left alone. Users cannot.
"""

import re
from typing import NamedTuple

_MARK = re.compile(r"(voucher|hold|held)=(.+)", re.DOTALL)
_ENDS = re.compile(r"[;|\s]+")
_MICRO = re.compile(r"\d{1,18}", re.ASCII)
HOLD_ID = re.compile(r"[0-9a-f]{32}")
"""What the hook makes; an empty one would be everybody's."""
NOT_KNOWN = "?"
"""What stands for the amount where a job was let in before an answer came."""


class Marks(NamedTuple):
    """What one AdminComment says.

    Attributes:
        voucher: Voucher account. None: the job has none.
        hold: Id of the hold.
        held_micro: What was held. None: not known.
    """

    voucher: str | None
    hold: str | None
    held_micro: int | None


NONE = Marks(None, None, None)


def read(comment: str) -> Marks:
    """Find the marks in an AdminComment.

    Raises:
        ValueError: It says two different things, or an amount that is none.
    """
    if "=" not in comment:
        return NONE
    found: dict[str, str] = {}
    for part in _ENDS.split(comment):
        match = _MARK.fullmatch(part)
        if match and found.setdefault(match[1], match[2]) != match[2]:
            raise ValueError(f"says two things about {match[1]}")
    held = found.get("held", NOT_KNOWN)
    if held == NOT_KNOWN:
        return Marks(found.get("voucher"), found.get("hold"), None)
    if not _MICRO.fullmatch(held):
        raise ValueError("says held, and neither micro-yuan nor ?")
    return Marks(found.get("voucher"), found.get("hold"), int(held))
