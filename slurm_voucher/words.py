"""What people read, in their language: English sentences are looked up where they are shown.

Everything else is English: JSON and CSV, what goes over the wire, the reason that the archive keeps
with a run, logs. So a reason that was written down years ago, and the answer of a voucherd that
knows no Chinese, are said in Chinese all the same, and programs always read the same.

A message id is the English sentence, with {names} where figures and words of others stand. What is
in no catalogue stays as it is.
"""

import gettext
import os
import re
import sys
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from itertools import takewhile
from pathlib import Path
from typing import Any

DOMAIN = "svoucher"
FOLDER = Path(__file__).parent / "locale"
SAMPLE = "算力券：×·…"
"""What a terminal has to be able to show, or it is told in English."""
EXAMPLE = "\b\n"
"""What a paragraph of help begins with that click does not fold."""
SENTENCE_MAX = 1000
"""Characters; what is longer was not made of sentences."""
MARKS = (": ", "; ")
"""Between what is said of what, and from one sentence to the next."""
MARK = re.compile(f"({'|'.join(MARKS)})")
FIELD = re.compile(r"\{(\w+)\}")


class Catalogue(gettext.GNUTranslations):
    """Sentences in one language; those with fields are found by what was made of them."""

    def _parse(self, fp: Any) -> None:
        super()._parse(fp)
        self._known: dict[Any, str] = self._catalog  # type: ignore[attr-defined]  # no other way
        ids = [key for key in self._known if isinstance(key, str) and "\4" not in key]
        split = [(key, FIELD.split(key)) for key in ids if FIELD.search(key)]
        self._made = [(key, parts[::2], parts[1::2]) for key, parts in split]
        self._made.sort(key=lambda one: -sum(map(len, one[1])))  # what says most goes first

    def said(self, text: str) -> str:
        """Say a sentence that was made in English."""
        if text in self._known:
            return self.gettext(text) if text else ""
        if len(text) > SENTENCE_MAX:
            return text
        for key, parts, names in self._made:
            found = _between(parts, text)
            if found is not None:
                fields = {n: self.word(n, one) for n, one in zip(names, found, strict=True)}
                return filled(self.gettext(key), fields)
        subject, mark, rest = (*MARK.split(text, maxsplit=1), "", "")[:3]
        if not mark:
            return text
        told = self.said(subject), self.said(rest)
        return text if told == (subject, rest) else self.gettext(mark).join(told)

    def word(self, what: str, text: str) -> str:
        """Say a word of which it is known what it stands for: a column, or a field."""
        found = self.pgettext(what, text)
        return self.said(text) if found == text and " " in text else found


def filled(sentence: str, fields: Mapping[str, str]) -> str:
    """Put fields into a sentence."""
    return FIELD.sub(lambda field: fields[field[1]], sentence)


def _between(parts: Sequence[str], text: str) -> list[str] | None:
    """Return what stands between the parts of a sentence; None where it is another sentence."""
    first, *middle, last = parts
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return None
    found = []
    for part in middle:  # taken as early as it comes: that leaves the most for the others
        place = text.find(part, at, end)
        if place < 0:
            return None
        found.append(text[at:place])
        at = place + len(part)
    return [*found, text[at:end]]


_in_use: Catalogue | None = None
"""None: English."""


def start() -> None:
    """Choose the language as the environment and the terminal now say; click's words follow."""
    global _in_use
    _in_use = _chosen() if all(map(_can_show, (sys.stdout, sys.stderr))) else None
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN if _in_use else "messages")


def _chosen() -> Catalogue | None:
    """Return the catalogue of the first language that is wanted and known; None for English.

    As in GNU's gettext, LANGUAGE is asked only where the locale is another than C.
    """
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return None
    wanted = (os.environ.get("LANGUAGE") or locale).split(":")
    before = list(takewhile(lambda one: not one.startswith("en"), wanted))
    try:
        return gettext.translation(DOMAIN, FOLDER, before, class_=Catalogue) if before else None
    except OSError:
        return None


def _can_show(stream: Any) -> bool:
    """Tell whether Chinese can be written there; what is closed shows nothing, in any language."""
    if stream is None:
        return True
    try:
        SAMPLE.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def said(text: str) -> str:
    """Say an English sentence in the reader's language."""
    return _in_use.said(text) if _in_use else text


def word(what: str, text: str) -> str:
    """Say what stands in a column or field in the reader's language."""
    return _in_use.word(what, text) if _in_use else text


def help_text(text: str) -> str:
    """Say the help of a command, a paragraph at a time; of an example what it is called."""
    told = [
        EXAMPLE + said(one.removeprefix(EXAMPLE))
        if one.startswith(EXAMPLE)
        else said(" ".join(one.split()))
        for one in cleandoc(text).split("\n\n")
    ]
    return "\n\n".join(told)


def short(text: str) -> str:
    """Return the first sentence of a help, whole: click would cut it off at 45 characters."""
    first = " ".join(text.partition("\n\n")[0].split())
    return re.split("(?<=[.] )|(?<=。)", first)[0].strip()


def tag() -> str:
    """Name the language for who reads HTML."""
    return _in_use.info()["language"].replace("_", "-") if _in_use else "en"


def heading(column: str) -> str:
    """Say the name of a column in the reader's language."""
    return _in_use.pgettext("column", column) if _in_use else column
