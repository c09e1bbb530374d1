"""A paper as plain data: what stands on it and in which order, and nothing of how it is drawn.

Cells are integers in the unit of their kind, text, or None where something is not known. Whoever
writes a paper, as pages or as a spreadsheet, takes its figures from here and works out none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum

from accounting import money
from accounting.capitals import capitals
from accounting.errors import InvariantBroken

Cell = str | int | None
UNKNOWN = "—"
GFLOPS_S_PER_PFLOPS_H = 3_600_000_000
HOUR_PARTS = 10_000
"""Of a PFLOPS·hour are printed."""


class Kind(Enum):
    """What a cell is, and of a number how many decimals its integer has."""

    TEXT = ("text", None)
    DAY = ("day", None)
    """A calendar day, as text: 2026-11-22."""
    COUNT = ("count", 0)
    YUAN = ("yuan", 2)
    """Fen."""
    MICRO = ("micro", 6)
    """Micro-yuan."""
    PERCENT = ("percent", 2)
    """Basis points."""
    PFLOPS_H = ("pflops_h", 4)

    @property
    def is_number(self) -> bool:
        """Whether cells of this kind are integers."""
        return self.value[1] is not None

    @property
    def decimals(self) -> int:
        """How many of a number's digits stand behind the point."""
        return self.value[1] or 0


@dataclass(frozen=True)
class Field:
    """One line of a paper's head: what it is called and what it says."""

    name: str
    value: Cell
    kind: Kind = Kind.TEXT
    wide: bool = False
    """It takes a line of its own."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind = Kind.TEXT
    summed: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns; those that are summed have a sum below them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def sums(self) -> dict[int, int]:
        """The sum of each summed column, by its place. What is not known adds nothing."""
        return {
            i: sum(int(row[i] or 0) for row in self.rows)
            for i, column in enumerate(self.columns)
            if column.summed
        }


@dataclass(frozen=True)
class Paper:
    """A whole paper.

    Attributes:
        title: What it is.
        number: Which one; also the name of its file if no other is given.
        rehearsal: It is stamped as one.
        made_s: The instant that it is as of: the same paper is the same bytes.
        fields: Its head.
        tables: What follows.
        notes: What stands below them.
        seals: Who stamps and signs.
        attached: Files that go with it where the form can carry them, by name.
    """

    title: str
    number: str
    rehearsal: bool
    made_s: int
    fields: tuple[Field, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    seals: tuple[str, ...] = ()
    attached: Mapping[str, bytes] = field(default_factory=dict)


def amount(name: str, amount_fen: int) -> tuple[Field, Field]:
    """Return an amount twice, as papers that move money have to show it: in digits, in capitals."""
    words = f"人民币{capitals(amount_fen)}"
    return Field(name, amount_fen, Kind.YUAN), Field(f"{name}（大写）", words)


def decimal(value: int, kind: Kind) -> Decimal:
    """Return a number as it is meant, exact: 1640902 fen are 16409.02."""
    return Decimal(value).scaleb(-kind.decimals)


def shown(value: Cell, kind: Kind) -> str:
    """Print a cell as people read it: 16,409.02; a dash for what is not known."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, str) or not kind.is_number:
        return str(value)
    text = f"{decimal(value, kind):,.{kind.decimals}f}"
    return f"{text}%" if kind is Kind.PERCENT else text


def day(value: Cell) -> date | None:
    """Read a cell that is a day."""
    return None if value is None else date.fromisoformat(str(value))


def pflops_h(gflops_s: int) -> int:
    """Return a metered quantity in 1/10,000 PFLOPS·hour, rounded half away from zero."""
    parts = money.half_up(abs(gflops_s) * HOUR_PARTS, GFLOPS_S_PER_PFLOPS_H)
    return -parts if gflops_s < 0 else parts


def insist(subject: str, table: Table, wanted: Mapping[str, int]) -> None:
    """Refuse a paper whose lines do not come to what the book says of it.

    Args:
        subject: What message names.
        table: With the lines.
        wanted: What each column has to come to, by its name.

    Raises:
        InvariantBroken: One does not.
    """
    names: Sequence[str] = [column.name for column in table.columns]
    sums = table.sums
    for name, total in wanted.items():
        found = sums[names.index(name)]
        if found != total:
            raise InvariantBroken(
                f"{subject}: its lines come to {found} in {name}, the book has {total}; run "
                "svoucher audit"
            )
