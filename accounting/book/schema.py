"""The tables of the book; triggers.py keeps them append-only.

Every row belongs to one journal entry (`seq`), whose hash covers it. The tables of holds
stand outside the chain: Slurm's queue is their second copy. So do the running balances: they are
the sums of the postings, kept by triggers.
Amounts are integers: fen on papers, micro-yuan in postings. Instants are epoch seconds UTC.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import SchemaItem

VERSION = 2
ROLES = ("unit", "operator", "regulator", "treasury", "auditor", "system")

metadata = MetaData()


def _text(name: str, *rest: object, null: bool = False, pk: bool = False) -> Column[str]:
    return Column(name, Text, *rest, nullable=null, primary_key=pk)  # type: ignore[arg-type]


def _int(name: str, *rest: object, null: bool = False, pk: bool = False) -> Column[int]:
    return Column(name, BigInteger, *rest, nullable=null, primary_key=pk, autoincrement=False)  # type: ignore[arg-type]


def _where(condition: str) -> dict[str, Any]:
    """Return what limits an index to some rows; `create` says it to the database at hand, for
    SQLAlchemy loads all of each database that is named here."""
    return {"info": {"where": condition}}


def _entry() -> Column[int]:
    """Declare which entry a row belongs to; rows go in before the entry that seals them."""
    sealed_by = ForeignKey("journal.seq", deferrable=True, initially="DEFERRED")
    return Column("seq", Integer, sealed_by, nullable=False, autoincrement=False)


def _of_entry(name: str, *columns: SchemaItem) -> Table:
    """Declare a table whose rows are covered by a journal entry."""
    return Table(name, metadata, _entry(), *columns, Index(f"{name}_seq", "seq"))


def create(conn: Connection) -> None:
    """Create all tables."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if "where" in index.info:
                options = index.dialect_options[conn.dialect.name]
                options["where"] = text(index.info["where"])
    metadata.create_all(conn, checkfirst=False)


# --- the chain -------------------------------------------------------------------------------

journal = Table(
    "journal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("key", null=False),
    _text("code"),
    _text("actor"),
    _text("role", CheckConstraint(f"role IN {ROLES}", name="role_known")),
    _int("at_s"),
    _int("effective_s"),
    Column("reverses", Integer, ForeignKey("journal.seq"), nullable=True),
    _text("content"),
    _text("prev_hash"),
    _text("hash"),
    UniqueConstraint("key"),
    Index("journal_reverses", "reverses", unique=True, **_where("reverses IS NOT NULL")),
)

posting = Table(
    "posting",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    # No foreign key to the journal: it takes a seventh of the time. The audit finds a posting
    # whose entry is not there.
    Column("line", Integer, primary_key=True),
    _text("account"),
    _text("owner"),
    _int("amount_micro", CheckConstraint("amount_micro <> 0", name="amount_not_zero")),
    sqlite_with_rowid=False,
)

reversal = _of_entry(
    "reversal",
    Column("of_seq", Integer, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    _text("reason"),
)
anchor = _of_entry(
    "anchor",
    _text("day", pk=True),
    _int("head_seq"),
    _text("head_hash"),
    _text("key_id"),
    _text("signature"),
)

# --- what is in force ------------------------------------------------------------------------

book = _of_entry(
    "book",
    _text("book_id", pk=True),
    _int("schema_version"),
    _int("rehearsal", CheckConstraint("rehearsal IN (0, 1)", name="rehearsal_bool")),
    _text("policy"),
)
document = _of_entry(
    "document",
    _text(
        "kind", CheckConstraint("kind IN ('policy', 'tariff', 'chips')", name="kind_known"), pk=True
    ),
    _text("version", pk=True),
    _text("sha256"),
    _text("text"),
)
signing_key = _of_entry(
    "signing_key", _text("key_id", pk=True), _text("role"), _text("actor"), _text("public_hex")
)
signed_act = _of_entry(
    "signed_act",
    _text("sha256", pk=True),
    _text("verb"),
    _text("subject"),
    _text("key_id", ForeignKey("signing_key.key_id")),
    _text("text"),
)

key_end = _of_entry(
    "key_end",
    _text("key_id", ForeignKey("signing_key.key_id"), pk=True),
    _text("kind", CheckConstraint("kind IN ('replaced', 'revoked')", name="kind_known")),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
refusal = _of_entry(
    "refusal",
    _text("sha256", pk=True),
    _text("verb"),
    _text("subject"),
    _text("code"),
    _text("message", pk=True),
)
"""Acts that were not carried out: the hash of each and, once for each reason, why not."""

# --- parties and vouchers --------------------------------------------------------------------

provider = _of_entry("provider", _text("id", pk=True), _text("name"))
unit = _of_entry(
    "unit",
    _text("id", pk=True),
    _text("name"),
    _text("credit_code"),
    _text(
        "kind",
        CheckConstraint(
            "kind IN ('enterprise', 'research_institute', 'university')", name="kind_known"
        ),
    ),
    UniqueConstraint("credit_code"),
)
revenue = _of_entry(
    "revenue",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _int("year", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen >= 0", name="amount_not_negative")),
)
unit_fact = _of_entry(
    "unit_fact",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("fact", pk=True),
    _text("from_on", pk=True),
    _text("until_on", null=True),
    _text("source"),
)
unit_fact_end = _of_entry(
    "unit_fact_end",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("fact", pk=True),
    _text("from_on", pk=True),
    _text("until_on"),
)
contract = _of_entry(
    "contract",
    _text("id", pk=True),
    _text("account"),
    _text("unit", ForeignKey("unit.id")),
    _text("provider", ForeignKey("provider.id")),
    _text("signed_on"),
    _int("from_s"),
    _int("until_s"),
    _int("fee_fen", CheckConstraint("fee_fen > 0", name="fee_positive")),
    UniqueConstraint("account"),
)
contract_part = _of_entry(
    "contract_part",
    _text("contract", ForeignKey("contract.id"), pk=True),
    _text("kind", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)
contract_change = _of_entry(
    "contract_change",
    _text("contract", ForeignKey("contract.id"), pk=True),
    _int("number", pk=True),
    _text("kind", CheckConstraint("kind IN ('amended', 'ended')", name="kind_known")),
    _text("effective_on"),
    _int("fee_fen", CheckConstraint("fee_fen >= 0", name="fee_not_negative")),
    _int("until_s"),
    _text("paper_sha256"),
)
credit_limit = _of_entry(
    "credit_limit",
    _text("account", ForeignKey("contract.account"), pk=True),
    _int("from_s", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen >= 0", name="amount_not_negative")),
)
member = _of_entry(
    "member",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("cluster", pk=True),
    _int("uid", pk=True),
    _int("from_s", pk=True),
    _int("until_s", null=True),
)
member_end = _of_entry(
    "member_end",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("cluster", pk=True),
    _int("uid", pk=True),
    _int("from_s", pk=True),
    _int("until_s"),
)
application = _of_entry(
    "application",
    _text("id", pk=True),
    _text("contract", ForeignKey("contract.id")),
    _text("category"),
    _text("channel", CheckConstraint("channel IN ('online', 'offline')", name="channel_known")),
    _text("paper_sha256"),
    _text("project", null=True),
    _int("fee_fen", null=True),
)
application_fact = _of_entry(
    "application_fact",
    _text("application", ForeignKey("application.id"), pk=True),
    _text("fact", pk=True),
    _text("value", null=True),
)
paper = _of_entry(
    "paper",
    _text("application", ForeignKey("application.id"), pk=True),
    _text("sha256", pk=True),
    _text("kind"),
    _text("name"),
    _int("size_bytes", CheckConstraint("size_bytes > 0", name="size_positive")),
)
consent = _of_entry("consent", _text("application", ForeignKey("application.id"), pk=True))
waiting = _of_entry(
    "waiting",
    _text("application", ForeignKey("application.id"), pk=True),
    _int("wanted_fen", CheckConstraint("wanted_fen > 0", name="wanted_positive")),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
review = _of_entry(
    "review",
    _text("application", ForeignKey("application.id"), pk=True),
    _text("verdict", CheckConstraint("verdict IN ('confirmed', 'refused')", name="verdict_known")),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
voucher = _of_entry(
    "voucher",
    _text("id", pk=True),
    _text("account", ForeignKey("contract.account")),
    _text("application", ForeignKey("application.id")),
    _text("category"),
    _text("issued_on"),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _int("trimmed", CheckConstraint("trimmed IN (0, 1)", name="trimmed_bool")),
    _int("from_s"),
    _int("until_s"),
    UniqueConstraint("application"),
)
voucher_end = _of_entry(
    "voucher_end",
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _text("kind", CheckConstraint("kind IN ('expired', 'cancelled')", name="kind_known"), pk=True),
    _int("at_s", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)
voucher_funder = _of_entry(
    "voucher_funder",
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _text("funder", pk=True),
    _int("place"),
    _int("amount_fen", CheckConstraint("amount_fen >= 0", name="amount_not_negative")),
)
freeze = _of_entry(
    "freeze",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _int("from_s", pk=True),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
freeze_end = _of_entry(
    "freeze_end",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _int("from_s", pk=True),
    _int("until_s"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
debt = _of_entry(
    "debt",
    _text("id", pk=True),
    _text("voucher", ForeignKey("voucher.id")),
    _text("kind", CheckConstraint("kind IN ('amended', 'clawback')", name="kind_known")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256"), null=True),
)
debt_payment = _of_entry(
    "debt_payment",
    _text("reference", pk=True),
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)
debt_relief = _of_entry(
    "debt_relief",
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    PrimaryKeyConstraint("debt", "seq"),
)
debt_return = _of_entry(
    "debt_return",
    _text("reference", pk=True),
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
payment = _of_entry(
    "payment",
    _text("reference", pk=True),
    _text("account", ForeignKey("contract.account")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)

# --- usage and charges -----------------------------------------------------------------------

segment = Table(
    "segment",
    metadata,
    _entry(),
    _text("path", pk=True),
    _text("cluster"),
    _text("month"),
    _int("rows"),
    _text("sha256"),
    _int("size_bytes"),
    _int("submit_min_s"),
    _int("submit_max_s"),
    _int("gflops_s"),
    _int("charge_micro"),
    _int("eligible_micro"),
    _int("unrated"),
    Index("segment_cluster", "cluster", "month"),
    UniqueConstraint("seq", "path"),
)
compaction = _of_entry(
    "compaction",
    _text("path", pk=True),
    _text("cluster"),
    _text("month"),
    _int("upto_seq"),
    _int("rows"),
    _text("sha256"),
    _int("size_bytes"),
    _int("submit_min_s"),
    _int("submit_max_s"),
    _int("gflops_s"),
    _int("charge_micro"),
    _int("eligible_micro"),
    _int("unrated"),
    UniqueConstraint("cluster", "month", "upto_seq"),
)
"""Files that have the rows of all segments of a cluster and month up to an entry, one after the
other by entry and path. Segments stay what they were; only where their rows stand changes."""
charge = Table(
    "charge",
    metadata,
    Column("seq", Integer, nullable=False, autoincrement=False),
    _text("account", ForeignKey("contract.account"), pk=True),
    _text("month", pk=True),
    _text("path", pk=True),
    _int("charge_micro"),
    _int("eligible_micro"),
    # Its entry is that of its segment. With a foreign key of its own SQLite would look all charges
    # through for each entry that is written: it has no index for that.
    ForeignKeyConstraint(["seq", "path"], ["segment.seq", "segment.path"]),
    sqlite_with_rowid=False,
)
"""One row for each account and segment: the most there is of anything. It stands in its key, which
is also how it is looked up, and has no index beside."""
reconciliation = _of_entry(
    "reconciliation",
    _text("sha256", pk=True),
    _text("cluster"),
    _int("from_s"),
    _int("until_s"),
    _int("runs_ours"),
    _int("runs_slurm"),
    _int("elapsed_s_ours"),
    _int("elapsed_s_slurm"),
    _int("card_s_ours"),
    _int("card_s_slurm"),
    _int("card_s_runs", null=True),
    _int("card_s_rolled", null=True),
    _int("charged_micro"),
    _int("posted_micro"),
    _int("differences"),
    _text("listed"),
)
"""What ours, slurmdbd, its roll-up and the postings say of the same days; `listed` is JSON."""
refund = _of_entry(
    "refund",
    _text("id", pk=True),
    _text("account", ForeignKey("contract.account"), null=True),
    _text("cluster"),
    _int("job_id"),
    _int("submit_s"),
    _int("start_s"),
    _int("revision"),
    _text("usage_month"),
    _int("charge_micro"),
    _int("eligible_micro"),
    _text("line", null=True),
    _int("fee_fen"),
    _int("deduction_fen"),
    _text("reason"),
    UniqueConstraint("cluster", "job_id", "submit_s", "start_s"),
)
refund_share = _of_entry(
    "refund_share",
    _text("refund", ForeignKey("refund.id"), pk=True),
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)

# --- settlement ------------------------------------------------------------------------------

closing = _of_entry(
    "closing",
    _text("provider", ForeignKey("provider.id"), pk=True),
    _text("month", pk=True),
    _int("at_s"),
    _int("upto_seq"),
)
account_closing = _of_entry(
    "account_closing",
    _text("account", ForeignKey("contract.account"), pk=True),
    _text("month", pk=True),
    _int("at_s"),
    _int("upto_seq"),
)
statement = _of_entry(
    "statement",
    _text("id", pk=True),
    _text("account", ForeignKey("contract.account")),
    _text("month"),
    _int("upto_seq"),
    _int("charge_micro"),
    _int("eligible_micro"),
    _int("fee_fen"),
    _int("deduction_fen"),
    _int("cash_fen"),
    _int("receivable_fen", CheckConstraint("receivable_fen >= 0", name="receivable_not_negative")),
    UniqueConstraint("account", "month"),
    CheckConstraint("deduction_fen + cash_fen = fee_fen", name="shares_add_up"),
)
statement_line = _of_entry(
    "statement_line",
    _text("id", pk=True),
    _text("statement", ForeignKey("statement.id")),
    _text("usage_month"),
    _text("cluster"),
    _text("partition"),
    _text("qos"),
    _text("chip"),
    _text("tariff"),
    _int("runs"),
    _int("gflops_s"),
    _int("charge_micro"),
    _int("eligible_micro"),
    _int("fee_fen"),
    _int("deduction_fen"),
    _int("cash_fen"),
    _text("refund", ForeignKey("refund.id"), null=True),
    CheckConstraint("deduction_fen + cash_fen = fee_fen", name="shares_add_up"),
)
deduction = _of_entry(
    "deduction",
    _text("statement", ForeignKey("statement.id"), pk=True),
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _int("amount_fen"),
)
deduction_month = _of_entry(
    "deduction_month",
    _text("statement", ForeignKey("statement.id"), pk=True),
    _text("usage_month", pk=True),
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _int("amount_fen"),
)
"""A deduction by usage month, where a statement draws from more than one voucher."""
invoice = _of_entry(
    "invoice",
    _text("number", pk=True),
    _text("statement", ForeignKey("statement.id")),
    _int("gross_fen"),
    _int("net_fen"),
    _int("tax_fen"),
    _text("recorded_on"),
    UniqueConstraint("statement"),
    CheckConstraint("net_fen + tax_fen = gross_fen", name="tax_adds_up"),
)

red_invoice = _of_entry(
    "red_invoice",
    _text("number", pk=True),
    _text("statement", ForeignKey("statement.id")),
    _text("invoice", ForeignKey("invoice.number")),
    _int("gross_fen", CheckConstraint("gross_fen < 0", name="gross_negative")),
    _int("net_fen"),
    _int("tax_fen"),
    _text("recorded_on"),
    UniqueConstraint("statement", "invoice"),
    CheckConstraint("net_fen + tax_fen = gross_fen", name="tax_adds_up"),
)

# --- redemption ------------------------------------------------------------------------------

claim = _of_entry(
    "claim",
    _text("id", pk=True),
    _text("provider", ForeignKey("provider.id")),
    _text("quarter"),
    _int("amount_fen"),
    _text("claimant", ForeignKey("unit.id"), null=True),
)
claim_line = _of_entry(
    "claim_line",
    _text("claim", ForeignKey("claim.id"), pk=True),
    _text("line", ForeignKey("statement_line.id"), pk=True),
    _int("amount_fen"),
)
claim_withdrawal = _of_entry(
    "claim_withdrawal", _text("claim", ForeignKey("claim.id"), pk=True), _text("reason")
)
"""A claim that was taken back before it was handed in: its lines are claimable again."""
claim_submission = _of_entry(
    "claim_submission", _text("claim", ForeignKey("claim.id"), pk=True), _text("packet_sha256")
)
claim_review = _of_entry(
    "claim_review",
    _text("claim", ForeignKey("claim.id"), pk=True),
    _text("line", ForeignKey("statement_line.id"), pk=True),
    _int("approved_fen"),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
payout = _of_entry(
    "payout",
    _text("claim", ForeignKey("claim.id"), pk=True),
    _text("reference"),
    _int("amount_fen"),
    _int("repaid_fen", CheckConstraint("repaid_fen >= 0", name="repaid_not_negative")),
    _text("paid_on"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
    UniqueConstraint("reference"),
)
claim_debt = _of_entry("claim_debt", _text("claim", ForeignKey("claim.id"), pk=True))
"""What credits leave below zero after a provider's last claim: it owes that to the treasury."""
claim_repayment = _of_entry(
    "claim_repayment",
    _text("reference", pk=True),
    _text("claim", ForeignKey("claim_debt.claim")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)
reserve_grant = _of_entry(
    "reserve_grant",
    _text("reference", pk=True),
    _text("provider", ForeignKey("provider.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
reserve_draw = _of_entry(
    "reserve_draw",
    _text("line", ForeignKey("statement_line.id"), pk=True),
    _text("provider", ForeignKey("provider.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)
reserve_return = _of_entry(
    "reserve_return",
    _text("reference", pk=True),
    _text("provider", ForeignKey("provider.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)

COVERED = {
    name: table for name, table in metadata.tables.items() if name not in ("journal", "posting")
}
"""Tables whose rows a journal entry covers, by name. Tables declared below are outside of it."""
ORDER = {name: i for i, name in enumerate(COVERED)}
"""Rows go in in the order in which their tables are declared: what others refer to comes first."""

# --- outside the chain: running balances, watermarks and holds ---------------------------------

NEVER_BELOW = (
    "claim.approved",
    "claim.review",
    "receivable",
    "reserve.fund",
    "voucher.cancelled",
    "voucher.deducted",
    "voucher.expired",
    "voucher.left",
)
"""Accounts of which no owner ever has less than nothing. Not so `accrued` and `claim.unclaimed`:
a credit can come after the statement or the claim."""
NEVER_ABOVE = ("cash", "programme", "reserve.owed")
"""Accounts on the credit side of which no owner ever has less than nothing."""
PLACE = "CAST(seq AS BIGINT) * 1000000 + line"
"""SQL for a posting's place among all: an entry has fewer than a million."""


def _none_of(accounts: Iterable[str]) -> str:
    """Return SQL for: the account is none of these. SQLite would build a table of an IN list each
    time that a trigger comes by."""
    return " AND ".join(f"account <> '{account}'" for account in accounts)


balance = Table(
    "balance",
    metadata,
    _text("account"),
    _text("owner"),
    _int("amount_micro"),
    _int("upto"),  # the last posting in it, as `PLACE` has it
    PrimaryKeyConstraint("owner", "account"),  # what an entry posts to lies together
    CheckConstraint(f"amount_micro >= 0 OR {_none_of(NEVER_BELOW)}", name="never_below"),
    CheckConstraint(f"amount_micro <= 0 OR {_none_of(NEVER_ABOVE)}", name="never_above"),
    sqlite_with_rowid=False,
)


mark = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The schema that the tables are of, kept by Alembic; `book` says the one that they began with."""
watermark = Table(
    "watermark", metadata, _text("cluster", pk=True), _text("sweep", pk=True), _int("until_s")
)

hold = Table(
    "hold",
    metadata,
    _text("id", pk=True),
    _text("cluster"),
    _text("account"),
    _int("uid"),
    _int("asked_s"),
    _int("expires_s"),
    _int("tasks", CheckConstraint("tasks > 0", name="tasks_positive")),
    _int("task_micro", CheckConstraint("task_micro >= 0", name="task_not_negative")),
    _int("task_eligible_micro"),
    _text("request"),
    _int("live"),  # tasks that have not ended
    _int("turn"),  # which change of any hold was the last of this one's
    CheckConstraint("live BETWEEN 0 AND tasks", name="live_within_tasks"),
    Index("hold_live", "account", **_where("live > 0")),
    Index("hold_live_cluster", "cluster", **_where("live > 0")),
    Index("hold_turn", "turn"),
)
hold_bind = Table(
    "hold_bind",
    metadata,
    _text("hold", ForeignKey("hold.id"), pk=True),
    _text("cluster"),
    _int("job_id"),
    _int("submit_s"),
    _int("seen_s"),
    Index("hold_bind_job", "cluster", "job_id"),
)
hold_end = Table(
    "hold_end",
    metadata,
    _text("hold", ForeignKey("hold.id"), pk=True),
    _text("task", pk=True),
    _text("kind", CheckConstraint("kind IN ('posted', 'voided', 'expired')", name="kind_known")),
    _int("tasks", CheckConstraint("tasks > 0", name="tasks_positive")),
    _int("at_s"),
    _text("evidence"),
)
hold_missing = Table(
    "hold_missing",
    metadata,
    _text("hold", ForeignKey("hold.id"), pk=True),
    _int("snapshot_s", pk=True),
)
