"""The font that pages are set in: the site's own, or the first Chinese one that is found.

It is put into the file, as far as a paper uses it, so that it looks the same everywhere.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fontTools.ttLib import TTCollection, TTFont, TTLibError

from accounting.errors import InvalidInput

FOLDER = Path("/usr/share/fonts")
KNOWN = (
    ("opentype/noto/NotoSerifCJK-Regular.ttc", "opentype/noto/NotoSerifCJK-Bold.ttc"),
    ("google-noto-serif-cjk-vf-fonts/NotoSerifCJK-VF.ttc", None),
    ("opentype/noto/NotoSansCJK-Regular.ttc", "opentype/noto/NotoSansCJK-Bold.ttc"),
    ("google-noto-cjk/NotoSansCJK-Regular.ttc", "google-noto-cjk/NotoSansCJK-Bold.ttc"),
    ("truetype/wqy/wqy-microhei.ttc", None),
    ("wqy-microhei/wqy-microhei.ttc", None),
    ("truetype/wqy/wqy-zenhei.ttc", None),
    ("truetype/arphic/uming.ttc", None),
)
"""Where Debian and Red Hat put the fonts that papers look best in, each with its bold one."""
SIMPLIFIED = ("SC", "CN")
"""How the simplified Chinese member of a collection ends its name."""
NEEDED = "零壹贰叁肆伍陆柒捌玖拾佰仟万亿元角分整结算单演练"
"""A font without these is none for our papers."""
PACKAGE = "fonts-noto-cjk"
FC_MATCH = ("fc-match", "--format=%{file}", ":lang=zh-cn")
FC_MATCH_S = 10


@dataclass(frozen=True)
class Face:
    """A font file, and which of a collection."""

    path: Path
    number: int
    has: frozenset[int]
    """The characters that it can show."""


@dataclass(frozen=True)
class Family:
    """What a paper is set in."""

    regular: Face
    bold: Face | None


def find(own: Path | None) -> Family:
    """Return what a paper is set in.

    Args:
        own: The site's choice. None: whatever is found, known ones first.

    Raises:
        InvalidInput: There is none, or the site's is no Chinese font; says what to install.
    """
    for regular, bold in [(own, None)] if own else _candidates():
        face = _face(regular)
        if face is not None:
            return Family(face, _face(bold) if bold and bold.is_file() else None)
    what = f"{own} is no font with Chinese" if own else "no Chinese font was found"
    raise InvalidInput(
        f"pages and pictures: {what}, 1 is needed; install {PACKAGE} (or fonts-wqy-microhei), or "
        "name one as paper_font in config.yaml"
    )


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    for regular, bold in KNOWN:
        path = FOLDER / regular
        if path.is_file():
            yield path, FOLDER / bold if bold else None
    try:
        found = subprocess.run(
            FC_MATCH, capture_output=True, timeout=FC_MATCH_S, check=False, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return  # fontconfig is not there: what is known was tried
    if found.stdout:
        yield Path(found.stdout), None


def _face(path: Path) -> Face | None:
    """Open a font, of a collection its simplified Chinese member; None if it has no Chinese."""
    try:
        with path.open("rb") as file:
            members = _members(file)
            number = _simplified(members)
            has = frozenset(members[number].getBestCmap() or ())
    except (OSError, TTLibError):
        return None
    return Face(path, number, has) if has.issuperset(map(ord, NEEDED)) else None


def _members(file: BinaryIO) -> list[TTFont]:
    """Return the fonts of a file, read as far as they are asked."""
    collection = file.read(4) == b"ttcf"
    file.seek(0)
    if collection:
        members: list[TTFont] = TTCollection(file, lazy=True).fonts
        return members
    return [TTFont(file, lazy=True)]


def _simplified(members: list[TTFont]) -> int:
    for number, font in enumerate(members):
        words = str(font["name"].getDebugName(1)).split()
        if "Mono" not in words and any(word in SIMPLIFIED for word in words):
            return number
    return 0
