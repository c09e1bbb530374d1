"""Does a packet prove what it claims? Worked out from it alone: no book, no archive.

Hashes first, then every run (in both files, under the root), every line, every statement, and what
was invoiced and paid for it. A packet that was made up as a whole proves itself too: the hash that
the book keeps (`--sha256`) and the entries' hashes tie it to the book.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from accounting import money, period
from accounting import policy as policies
from accounting.errors import ConfigInvalid
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
from accounting.redeem import merkle, packet, reading
from accounting.redeem.reading import Damaged, MonthOf, Packet, Statement, Summary
from accounting.settle import drawdown, stating
from accounting.settle.drawdown import Voucher
from accounting.settle.grouping import Group

FINDINGS_MAX = 1000
LINE_BYTES_MAX = 65_536
Row = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something that does not fit: in which file, in which line or row of it, and how."""

    file: str
    line: str
    message: str


@dataclass(frozen=True)
class Proof:
    """What a check came to."""

    claim: str
    sha256: str
    root: str
    runs: int
    amount_fen: int
    findings: Sequence[Finding]


@dataclass
class _Sums:
    """What the runs come to, by the line that they are in."""

    of_line: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    of_month: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class _Said:
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


def check(path: Path, sha256: str | None = None) -> Proof:
    """Check a packet.

    Args:
        path: The file.
        sha256: What the book says its hash is. None: not known.

    Raises:
        InvalidInput: It is no packet.
    """
    with path.open("rb") as file:
        is_ = hashlib.file_digest(file, "sha256").hexdigest()
    with reading.opened(path) as opened:
        sums = _Sums()
        found = _guarded(_all(opened, sums))
        listed = list(islice(found, FINDINGS_MAX))
        if sha256 is not None and sha256.lower() != is_:
            listed.insert(0, Finding(path.name, "", f"has the SHA-256 {is_}, not {sha256.lower()}"))
        claim, root, amount_fen = _named(opened)
        return Proof(claim, is_, root, sums.rows, amount_fen, listed)


def _named(opened: Packet) -> tuple[str, str, int]:
    try:
        manifest = opened.json(packet.MANIFEST, reading.Manifest)
        summary = opened.json(packet.SUMMARY, Summary)
    except Damaged:
        return "?", "?", 0
    return manifest.claim, manifest.merkle.root, summary.amount_fen


def _guarded(found: Found) -> Found:
    """What cannot be read at all ends the check, with a finding."""
    try:
        yield from found
    except Damaged as error:
        yield Finding(*error.args)


def _all(opened: Packet, sums: _Sums) -> Found:
    manifest = opened.json(packet.MANIFEST, reading.Manifest)
    yield from _hashes(opened, manifest)
    said = _said(opened)
    if manifest.claim != said.summary.claim:
        message = f"is of claim {manifest.claim}, the summary of {said.summary.claim}"
        yield Finding(packet.MANIFEST, "", message)
    yield from _runs(opened, manifest, said, sums)
    yield from _lines(said, sums)
    for paper in said.statements:
        yield from _statement(said, paper, sums)
    yield from _proofs(said)
    yield from _summary(opened, said)


def _hashes(opened: Packet, manifest: reading.Manifest) -> Found:
    """Every file is there, and is the one that the manifest names."""
    for name in sorted({*packet.FILES, *manifest.files}):
        known = manifest.files.get(name)
        if known is None:
            yield Finding(packet.MANIFEST, name, "has no hash of this file")
            continue
        digest, size = hashlib.sha256(), 0
        for part in opened.parts(name):
            digest.update(part)
            size += len(part)
        if (digest.hexdigest(), size) != (known.sha256, known.size_bytes):
            yield Finding(
                name,
                "",
                f"has {size} bytes of SHA-256 {digest.hexdigest()}, the manifest says "
                f"{known.size_bytes} of {known.sha256}",
            )


def _said(opened: Packet) -> _Said:
    try:
        text = opened.content(packet.POLICY).decode()
        policy = policies.load(text, packet.POLICY)
    except (ConfigInvalid, UnicodeError, RecursionError) as error:
        raise Damaged(packet.POLICY, "", f"cannot be read: {error}") from None
    return _Said(
        opened.json(packet.SUMMARY, Summary),
        opened.statements,
        opened.table(packet.LINES),
        opened.table(packet.INVOICES),
        opened.table(packet.PAYMENTS),
        opened.table(packet.DUES),
        policy,
    )


# --- runs ---------------------------------------------------------------------------------------


def _runs(opened: Packet, manifest: reading.Manifest, said: _Said, sums: _Sums) -> Found:
    """Both files have the same runs, in order, each in its line, under the manifest's root."""
    found: list[Finding] = []
    with opened.stream(packet.USAGE_CSV) as member:
        root = merkle.root(_walk(opened, member, said, sums, found)).hex()
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
    opened: Packet, member: IO[bytes], said: _Said, sums: _Sums, found: list[Finding]
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


_OF_RUNS = ("gflops_s", "charge_micro", "eligible_micro")


def _counted(row: Row, sums: _Sums) -> str | None:
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
    for name in _OF_RUNS:
        of_line[name] += count * row[name]
    month = sums.of_month.setdefault((row["statement"], row["usage_month"]), [0] * len(parts))
    if len(month) != len(parts):
        return f"has {len(parts)} intervals, other runs of the month {len(month)}"
    for i, part in enumerate(parts):
        month[i] += count * part
    return None


# --- papers -------------------------------------------------------------------------------------


def _lines(said: _Said, sums: _Sums) -> Found:
    """Each line is what its runs come to, and what is claimed of it is no more than it deducted."""
    papers = {paper.statement for paper in said.statements}
    names = Counter(line["line"] for line in said.lines)
    for line in said.lines:
        of = sums.of_line.get((line["statement"], line["line"], ""), Counter())
        if names[line["line"]] > 1 or line["statement"] not in papers:
            yield Finding(packet.LINES, line["line"], "is there twice, or of no statement here")
        for name in ("runs", *_OF_RUNS):
            if line[name] != of[name]:
                message = f"{name} is {line[name]}, its runs come to {of[name]}"
                yield Finding(packet.LINES, line["line"], message)
        if line["deduction_fen"] + line["cash_fen"] != line["fee_fen"]:
            yield Finding(
                packet.LINES,
                line["line"],
                f"deduction {yuan(line['deduction_fen'])} and cash {yuan(line['cash_fen'])} are "
                f"not the fee {yuan(line['fee_fen'])}",
            )
        claimed, most = line["claimed_fen"], line["deduction_fen"]
        if claimed is not None and not (0 < claimed <= most or claimed == most < 0):
            message = f"{yuan(claimed)} yuan is claimed, {yuan(most)} was deducted"
            yield Finding(packet.LINES, line["line"], message)
    for (statement, line_id, kind), of in sums.of_line.items():
        if kind and any(of.values()):
            message = f"runs of {kind} come to {of['charge_micro']} micro-yuan and have no line"
            yield Finding(packet.USAGE_PARQUET, line_id or statement, message)
    claimed_fen = sum(line["claimed_fen"] or 0 for line in said.lines)
    if claimed_fen != said.summary.amount_fen:
        message = f"claims {yuan(said.summary.amount_fen)} yuan, its lines {yuan(claimed_fen)}"
        yield Finding(packet.SUMMARY, said.summary.claim, message)


def _statement(said: _Said, paper: Statement, sums: _Sums) -> Found:
    """A statement's fee and deduction are what the rule makes of its runs, month by month."""
    lines = said.of(paper)
    for name in ("fee_fen", "deduction_fen", "cash_fen"):
        total = sum(line[name] for line in lines)
        if total != getattr(paper, name):
            message = f"{name} is {getattr(paper, name)}, its lines have {total}"
            yield Finding(packet.STATEMENTS, paper.statement, message)
    for each in paper.vouchers:
        ratio_bp = said.policy.deduct_bp(each.category)
        if each.ratio_bp != ratio_bp:
            message = (
                f"voucher {each.voucher} bears {each.ratio_bp} bp, category {each.category} "
                f"{ratio_bp}"
            )
            yield Finding(packet.STATEMENTS, paper.statement, message)
    left = dict(paper.left_fen)
    stated = {line["usage_month"] for line in lines}
    told = [month.usage_month for month in paper.months]
    if told != sorted(stated):
        message = f"has the months {told}, its lines {sorted(stated)}"
        yield Finding(packet.STATEMENTS, paper.statement, message)
        return
    for month in paper.months:
        here = [line for line in lines if line["usage_month"] == month.usage_month]
        of_runs = sums.of_month.get((paper.statement, month.usage_month), [])
        subject = f"{paper.statement} {month.usage_month}"
        try:
            yield from _month(paper, month, here, of_runs, left, subject)
        except (ValueError, KeyError, IndexError, ArithmeticError) as error:
            message = f"cannot be worked out: {error}"
            yield Finding(packet.STATEMENTS, subject, message)


def _month(
    paper: Statement,
    month: MonthOf,
    lines: Sequence[Row],
    of_runs: Sequence[int],
    left: dict[str, int],
    subject: str,
) -> Found:
    own = [
        Voucher(each.voucher, each.from_s, each.until_s, 0, each.ratio_bp)
        for each in paper.vouchers
    ]
    before = month.before
    whole = [a + b for a, b in zip(before.intervals_micro, of_runs, strict=True)]
    if sum(before.intervals_micro) != before.charge_micro:
        message = (
            f"before it the intervals come to {sum(before.intervals_micro)} micro-yuan, the charge "
            f"to {before.charge_micro}"
        )
        yield Finding(packet.STATEMENTS, subject, message)
    limits = Counter(before.borne_fen)
    for refund in month.refunds:
        limits.subtract(refund.borne_fen)
    for name, fen in left.items() if any(not line["refund"] for line in lines) else ():
        limits[name] += fen
    after = drawdown.drawn_fen(own, limits, whole)
    drawn = drawdown.grown(before.borne_fen, after)
    if drawn != {name: fen for name, fen in month.drawn_fen.items() if fen}:
        message = f"draws {_named_fen(month.drawn_fen)}, the rule gives {_named_fen(drawn)}"
        yield Finding(packet.STATEMENTS, subject, message)
    for name, fen in drawn.items():
        left[name] = left.get(name, 0) - fen
    fee_fen = sum(whole) // MICRO_PER_FEN - before.fee_fen
    by_rule = _by_rule(month, lines, fee_fen, sum(drawn.values()))
    for line, (fee, part) in zip(lines, by_rule, strict=True):
        if (line["fee_fen"], line["deduction_fen"]) != (fee, part):
            yield Finding(
                packet.LINES,
                line["line"],
                f"fee {yuan(line['fee_fen'])} and deduction {yuan(line['deduction_fen'])}, the "
                f"rule gives {yuan(fee)} and {yuan(part)}",
            )


def _named_fen(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{yuan(fen)} of {name}" for name, fen in sorted(amounts.items())) or "nothing"


def _by_rule(
    month: MonthOf, lines: Sequence[Row], fee_fen: int, deduction_fen: int
) -> list[tuple[int, int]]:
    """Share fee and deduction out over lines, as the statement did."""
    refunds = {each.id: stating.Refund((), each.fee_fen, each.borne_fen) for each in month.refunds}
    names = ("cluster", "partition", "qos", "chip", "tariff", "runs", *_OF_RUNS)
    groups = [
        (Group(month.usage_month, *(line[name] for name in names)), line["refund"] or None)
        for line in lines
    ]
    shared = stating.month_lines(month.usage_month, groups, refunds, fee_fen, deduction_fen)
    by_group = {(each.group, each.refund): (each.fee_fen, each.deduction_fen) for each in shared}
    return [by_group[group] for group in groups]


def _proofs(said: _Said) -> Found:
    """What is claimed is invoiced, and the unit has paid its part."""
    basis = {"net": "cash_fen", "gross": "fee_fen"}[said.policy.invoice_basis]
    for paper in said.statements:
        claimed = [line for line in said.of(paper) if (line["claimed_fen"] or 0) > 0]
        if not claimed:
            continue
        due_fen = sum(line[basis] for line in said.of(paper) if not line["refund"])
        found = [
            row
            for row in said.invoices
            if row["statement"] == paper.statement and not row["red_of"]
        ]
        for line in claimed:
            if not found and paper.cash_fen > 0:
                message = f"{yuan(line['claimed_fen'])} yuan is claimed, no invoice stands here"
                yield Finding(packet.LINES, line["line"], message)
        for row in found:
            net_fen = money.half_up(max(due_fen, 0) * money.BP, money.BP + said.policy.vat_bp)
            wanted = (due_fen, net_fen, due_fen - net_fen)
            if (row["gross_fen"], row["net_fen"], row["tax_fen"]) != wanted:
                message = (
                    f"is over {yuan(row['gross_fen'])} = {yuan(row['net_fen'])} + "
                    f"{yuan(row['tax_fen'])}, {paper.statement} comes to {yuan(wanted[0])} = "
                    f"{yuan(wanted[1])} + {yuan(wanted[2])}"
                )
                yield Finding(packet.INVOICES, row["number"], message)
        yield from _payments(said, paper, claimed)


def _payments(said: _Said, paper: Statement, claimed: Sequence[Row]) -> Found:
    due = {row["statement"]: row for row in said.dues if row["account"] == paper.account}
    wanted_fen = paper.fee_fen if said.policy.payment_mode == "reimburse" else paper.cash_fen
    if paper.statement not in due or due[paper.statement]["due_fen"] != wanted_fen:
        is_ = due[paper.statement]["due_fen"] if paper.statement in due else None
        message = f"due is {is_} fen, the statement says {wanted_fen}"
        yield Finding(packet.DUES, paper.statement, message)
    paid_fen = sum(row["amount_fen"] for row in said.payments if row["account"] == paper.account)
    due_fen = sum(row["due_fen"] for row in due.values())
    if paid_fen < due_fen:
        for line in claimed:
            message = (
                f"{yuan(line['claimed_fen'])} yuan is claimed, the unit has paid {yuan(paid_fen)} "
                f"of {yuan(due_fen)}"
            )
            yield Finding(packet.LINES, line["line"], message)


def _summary(opened: Packet, said: _Said) -> Found:
    """The summary is what lines and statements make it."""
    summary = said.summary
    by_statement = {
        paper.statement: sum(line["claimed_fen"] or 0 for line in said.of(paper))
        for paper in said.statements
    }
    borne = _borne(said)
    funded = packet.by_funder(borne, summary.funders, summary.policy)
    for name, is_, wanted in (
        ("by_statement_fen", summary.by_statement_fen, by_statement),
        ("by_voucher_fen", summary.by_voucher_fen, borne),
        ("by_funder_fen", summary.by_funder_fen, funded),
        ("policy", summary.policy, said.policy.name),
    ):
        if is_ != wanted:
            yield Finding(packet.SUMMARY, name, f"is {is_}, the packet makes it {wanted}")
    rows = opened.table(packet.SUMMARY_CSV)
    told = packet.summary_rows(reading.plain(summary))
    for number, (is_row, row) in enumerate(zip(rows, told, strict=False), 2):
        if is_row != row:
            message = f"is {is_row['name']} {is_row['amount_fen']}, the summary says {row}"
            yield Finding(packet.SUMMARY_CSV, str(number), message)
    if len(rows) != len(told):
        message = f"has {len(rows)} rows, the summary makes {len(told)}"
        yield Finding(packet.SUMMARY_CSV, "", message)


def _borne(said: _Said) -> dict[str, int]:
    return packet.by_voucher(said.lines, [reading.plain(paper) for paper in said.statements])
