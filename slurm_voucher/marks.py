"""What stands in a job's AdminComment of ours: voucher=ID;hold=ID;held=MICRO;waits=CODE.

The submit hook writes it; while a job has to wait for its voucher, voucherd adds why. One that goes
on without its voucher says voucher=-;self_pay=CODE instead, and one that is to be ended while it
runs says ends=CODE@INSTANT, too. Other tools write there; what they write is left alone. Users
cannot.
"""

import re
from datetime import datetime
from typing import NamedTuple

_NAMES = "voucher|hold|held|waits|self_pay|ends"
_MARK = re.compile(rf"({_NAMES})=(.+)", re.DOTALL)
_ENDS = re.compile(r"[;|\s]+")
_OWN = re.compile(rf"(?<![^;|\s])({_NAMES})=([^;|\s]+);?")
_MICRO = re.compile(r"\d{1,18}", re.ASCII)
HOLD_ID = re.compile(r"[0-9a-f]{32}")
"""What the hook makes; an empty one would be everybody's."""
NOT_KNOWN = "?"
"""What stands for the amount where a job was let in before an answer came."""
WAITS = "wait"
"""The same where it has to wait until there is one."""
OWN = "own"
"""The same where its user has held it: when there is one it stays held."""
NOBODY = "-"
"""What stands for the voucher of a job that named none."""
UNASKED = "unasked"
"""Why a job waits that the hook had no answer for."""


class Marks(NamedTuple):
    """What one AdminComment says.

    Attributes:
        voucher: Voucher account. None: the job has none.
        hold: Id of the hold.
        held_micro: What was held. None: not known.
        waits: Why the job is held in the queue until its voucher covers it; OWN: by its user, and
            there was no answer yet. None: it is not.
        self_pay: Why it goes on without a voucher, and no hold is its. None: it does not.
        ends: Why and when it is ended while it runs, as somebody was told. None: nobody was.
    """

    voucher: str | None
    hold: str | None
    held_micro: int | None
    waits: str | None = None
    self_pay: str | None = None
    ends: str | None = None

    @property
    def ends_s(self) -> int | None:
        """When it is ended, as somebody was told."""
        return None if self.ends is None else _instant(self.ends)


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
        if match and _is_ours(match) and found.setdefault(match[1], match[2]) != match[2]:
            raise ValueError(f"says two things about {match[1]}")
    held = found.get("held", NOT_KNOWN)
    if held not in (NOT_KNOWN, WAITS, OWN) and not _MICRO.fullmatch(held):
        raise ValueError("says held, and neither micro-yuan nor ?")
    voucher = found.get("voucher")
    return Marks(
        voucher=None if voucher == NOBODY else voucher,
        hold=found.get("hold"),
        held_micro=int(held) if held.isdecimal() else None,
        waits=found.get("waits", {WAITS: UNASKED, OWN: OWN}.get(held)),
        self_pay=found.get("self_pay"),
        ends=found.get("ends"),
    )


def _is_ours(match: re.Match[str]) -> bool:
    """Tell a mark from what others write in the same way: that something ends many may say."""
    return match[1] != "ends" or _instant(match[2]) is not None


def _instant(ends: str) -> int | None:
    """Return the instant of CODE@INSTANT. None: it is no such thing."""
    try:
        at = datetime.fromisoformat(ends.partition("@")[2])
    except ValueError:
        return None
    return None if at.utcoffset() is None else int(at.timestamp())


def write(comment: str, own: Marks) -> str:
    """Return an AdminComment with other marks of ours; what others wrote stays before them."""
    others = _OWN.sub(lambda match: "" if _is_ours(match) else match[0], comment).strip()
    held = NOT_KNOWN if own.held_micro is None else own.held_micro
    marks = [f"voucher={own.voucher or NOBODY}", f"hold={own.hold}", f"held={held}"]
    if own.self_pay:
        marks = [f"voucher={NOBODY}", f"self_pay={own.self_pay}"]
    marks += [f"{name}={why}" for name, why in (("waits", own.waits), ("ends", own.ends)) if why]
    return f"{others} {';'.join(marks)}".lstrip()
