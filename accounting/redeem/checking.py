"""Does a packet prove what it claims? Worked out from it alone: no book, no archive.

Hashes first, then every run (in both files, under the root), every line, every statement, and what
was invoiced and paid for it. A packet that was made up as a whole proves itself too: the hash that
the book keeps (`--sha256`) and the entries' hashes tie it to the book.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from accounting import money
from accounting import policy as policies
from accounting.errors import ConfigInvalid
from accounting.money import MICRO_PER_FEN, yuan
from accounting.redeem import funding, packet, reading, recounting
from accounting.redeem.reading import Damaged, MonthOf, Packet, Statement, Summary
from accounting.redeem.recounting import FINDINGS_MAX, OF_RUNS, Finding, Found, Papers, Row, Sums
from accounting.settle import drawdown, known, stating
from accounting.settle.drawdown import Voucher
from accounting.settle.grouping import Group


@dataclass(frozen=True)
class Proof:
    """What a check came to."""

    claim: str
    sha256: str
    root: str
    runs: int
    amount_fen: int
    findings: Sequence[Finding]


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
        sums = Sums()
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


def _all(opened: Packet, sums: Sums) -> Found:
    manifest = opened.json(packet.MANIFEST, reading.Manifest)
    yield from _hashes(opened, manifest)
    said = _said(opened)
    if manifest.claim != said.summary.claim:
        message = f"is of claim {manifest.claim}, the summary of {said.summary.claim}"
        yield Finding(packet.MANIFEST, "", message)
    yield from recounting.recount(opened, manifest, said, sums)
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


def _said(opened: Packet) -> Papers:
    try:
        text = opened.content(packet.POLICY).decode()
        policy = policies.load(text, packet.POLICY)
    except (ConfigInvalid, UnicodeError, RecursionError) as error:
        raise Damaged(packet.POLICY, "", f"cannot be read: {error}") from None
    return Papers(
        opened.json(packet.SUMMARY, Summary),
        opened.statements,
        opened.table(packet.LINES),
        opened.table(packet.INVOICES),
        opened.table(packet.PAYMENTS),
        opened.table(packet.DUES),
        policy,
    )


# --- papers -------------------------------------------------------------------------------------


def _lines(said: Papers, sums: Sums) -> Found:
    """Each line is what its runs come to, and what is claimed of it is no more than it deducted."""
    papers = {paper.statement for paper in said.statements}
    names = Counter(line["line"] for line in said.lines)
    for line in said.lines:
        of = sums.of_line.get((line["statement"], line["line"], ""), Counter())
        if names[line["line"]] > 1 or line["statement"] not in papers:
            yield Finding(packet.LINES, line["line"], "is there twice, or of no statement here")
        for name in ("runs", *OF_RUNS):
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


def _statement(said: Papers, paper: Statement, sums: Sums) -> Found:
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
    refunds = {each.id: known.Refund((), each.fee_fen, each.borne_fen) for each in month.refunds}
    names = ("cluster", "partition", "qos", "chip", "tariff", "runs", *OF_RUNS)
    groups = [
        (Group(month.usage_month, *(line[name] for name in names)), line["refund"] or None)
        for line in lines
    ]
    shared = stating.month_lines(month.usage_month, groups, refunds, fee_fen, deduction_fen)
    by_group = {(each.group, each.refund): (each.fee_fen, each.deduction_fen) for each in shared}
    return [by_group[group] for group in groups]


def _proofs(said: Papers) -> Found:
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


def _payments(said: Papers, paper: Statement, claimed: Sequence[Row]) -> Found:
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


def _summary(opened: Packet, said: Papers) -> Found:
    """The summary is what lines and statements make it."""
    summary = said.summary
    by_statement = {
        paper.statement: sum(line["claimed_fen"] or 0 for line in said.of(paper))
        for paper in said.statements
    }
    try:
        borne = _borne(said)
        before = summary.before_fen
        funded = funding.by_funder(borne, before, summary.funders, summary.policy)
    except ValueError as error:
        yield Finding(packet.SUMMARY, "", f"cannot be worked out: {error}")
        return
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


def _borne(said: Papers) -> dict[str, int]:
    return funding.by_voucher(said.lines, [reading.plain(paper) for paper in said.statements])
