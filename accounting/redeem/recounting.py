"""The runs of a packet: the same in both files, in order, each in its line, under one root.

What they come to by line and month is what papers are held to.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from accounting import period
from accounting.policy import Policy
from accounting.redeem import merkle, packet, reading
from accounting.redeem.reading import Damaged, Packet, Statement, Summary

FINDINGS_MAX = 1000
LINE_BYTES_MAX = 65_536
Row = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something that does not fit: in which file, in which line or row of it, and how."""

    file: str
    line: str
    message: str


@dataclass
class Sums:
    """What the runs come to, by the line that they are in."""

    of_line: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    of_month: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class Papers:
    """The papers of a packet, read."""

    summary: Summary
    statements: Sequence[Statement]
    lines: Sequence[Row]
    invoices: Sequence[Row]
    payments: Sequence[Row]
    dues: Sequence[Row]
    policy: Policy

    def of(self, paper: Statement) -> list[Row]:
        return [line for line in self.lines if line["statement"] == paper.statement]


Found = Iterator[Finding]


def recount(opened: Packet, manifest: reading.Manifest, said: Papers, sums: Sums) -> Found:
    """Both files have the same runs, in order, each in its line, under the manifest's root."""
    found: list[Finding] = []
    with opened.stream(packet.USAGE_CSV) as member:
        try:
            root = merkle.root(_walk(opened, member, said, sums, found)).hex()
        except Damaged:
            yield from found
            raise
        if _line(member):
            message = f"has more rows than the {sums.rows} of {packet.USAGE_PARQUET}"
            found.append(Finding(packet.USAGE_CSV, str(sums.rows + 2), message))
    yield from found
    known = manifest.merkle
    if (root, sums.rows) != (known.root, known.leaves):
        message = f"says root {known.root} over {known.leaves} runs, it is {root} over {sums.rows}"
        yield Finding(packet.MANIFEST, "merkle", message)


def _line(member: IO[bytes]) -> bytes:
    line: bytes = reading.read(packet.USAGE_CSV, member.readline, LINE_BYTES_MAX)
    return line


def _walk(
    opened: Packet, member: IO[bytes], said: Papers, sums: Sums, found: list[Finding]
) -> Iterator[bytes]:
    """Yield the hash of each run, and note on the way what does not fit."""
    places = {paper.statement: paper for paper in said.statements}
    lines = {line["line"]: line for line in said.lines}
    credits_ = {
        each.line: (each.cluster, each.job_id, each.submit_s, each.start_s)
        for paper in said.statements
        for month in paper.months
        for each in month.refunds
    }
    if _line(member) != packet.text([packet.USAGE.names]):
        found.append(Finding(packet.USAGE_CSV, "1", "has other columns than a packet has"))
    before: tuple[Any, ...] = ()
    for rows in opened.runs():
        for row in rows:
            sums.rows += 1
            number = str(sums.rows + 1)
            yield packet.leaf(row)
            if len(found) >= FINDINGS_MAX:
                continue
            csv_line = _line(member)
            if csv_line != packet.text([row.values()]):
                found.append(Finding(packet.USAGE_CSV, number, _difference(row, csv_line)))
            key = packet.order(row)
            problem = _misplaced(row, places, lines, credits_, said.policy)
            if problem is None and key <= before:
                problem = f"job {row['job']} is out of order, or there twice"
            uncounted = _counted(row, sums)
            if problem := problem or uncounted:
                found.append(Finding(packet.USAGE_PARQUET, number, problem))
            before = key


def _difference(row: Row, csv_line: bytes) -> str:
    """Say in which column the files differ."""
    try:
        [cells] = packet.cells(csv_line)
    except ValueError:
        return f"is {csv_line[:80]!r}, which is no row of a run"
    for (name, value), cell in zip(row.items(), cells, strict=False):
        if cell != ("" if value is None else str(value)):
            return f"{name} is {cell[:80]!r}, in {packet.USAGE_PARQUET} it is {value!r}"
    return f"has {len(cells)} cells, {len(row)} belong there"


_OF_LINE = ("statement", "usage_month", "cluster", "partition", "qos", "chip", "tariff")


def _misplaced(
    row: Row,
    papers: Mapping[str, Statement],
    lines: Mapping[str, Row],
    credits_: Mapping[str, tuple[Any, ...]],
    policy: Policy,
) -> str | None:
    """Say why a run is not of the line that it names, or None."""
    paper = papers.get(row["statement"])
    if paper is None or row["account"] != paper.account:
        return f"is of account {row['account']}, statement {row['statement']} is not"
    if row["count"] not in (1, -1):
        return f"counts {row['count']}, 1 or -1 is possible"
    try:
        month = period.month_of(row["end_s"], policy.timezone)
    except (ValueError, OverflowError, OSError):
        month = "?"
    if month != row["usage_month"]:
        return f"ended at {row['end_s']}, which is not in {row['usage_month']}"
    if not row["line"]:
        return None
    line = lines.get(row["line"])
    if line is None:
        return f"names line {row['line']}, which is not there"
    run = tuple(row[name] for name in ("cluster", "job_id", "submit_s", "start_s"))
    if line["refund"] and credits_.get(row["line"]) != run:
        return f"job {row['job']} is not the run that line {row['line']} gives back"
    for name in _OF_LINE:
        if row[name] != line[name]:
            return f"{name} is {row[name]}, of its line {row['line']} it is {line[name]}"
    return None


OF_RUNS = ("gflops_s", "charge_micro", "eligible_micro")


def _counted(row: Row, sums: Sums) -> str | None:
    """Add a run to its line and month; say what does not add up in itself."""
    try:
        parts = [int(part) for part in row["intervals_micro"].split(" ")]
    except ValueError:
        return f"intervals_micro is {row['intervals_micro'][:80]!r}, which is no list of amounts"
    if sum(parts) != row["charge_micro"]:
        return f"its intervals come to {sum(parts)} micro-yuan, its charge is {row['charge_micro']}"
    kind = "" if row["line"] else ",".join(row[name] for name in _OF_LINE)
    of_line = sums.of_line.setdefault((row["statement"], row["line"], kind), Counter())
    count = row["count"]
    of_line["runs"] += count
    for name in OF_RUNS:
        of_line[name] += count * row[name]
    month = sums.of_month.setdefault((row["statement"], row["usage_month"]), [0] * len(parts))
    if len(month) != len(parts):
        return f"has {len(parts)} intervals, other runs of the month {len(month)}"
    for i, part in enumerate(parts):
        month[i] += count * part
    return None
