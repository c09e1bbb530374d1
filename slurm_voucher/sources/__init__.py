"""Where runs come from. Each source yields a `Run` for what it understood and a `BadRow` for
what it did not, so that one bad row neither hides the others nor passes in silence.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that could not be read.

    Attributes:
        line: Number of the line in its source, from 1; 0: the last one of a pipe.
        column: Name of the column at fault, '' where it is the whole line.
        value: What stands there, shortened.
        reason: What is wrong with it.
        source: File or command that it came from.
        kind: What is counted: lines, or jobs of JSON.
    """

    line: int
    column: str
    value: str
    reason: str
    source: str = ""
    kind: str = "line"

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.kind} {self.line}" if self.line else f"last {self.kind}"
        if self.source:
            where = f"{self.source}: {where}"
        what = f"{self.column} {self.value!r}" if self.column else f"the {self.kind}"
        return f"{where}: {what} {self.reason}"
