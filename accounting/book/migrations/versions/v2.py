"""1 to 2: the whole settlement. Papers, waiting, amendments, freezes, debts, refunds, several
vouchers of an account, keys that end, running balances.

What stands in the book stays as it is; the tables here are those of schema 2, for good.
"""

from collections.abc import Iterable
from typing import Any

from alembic import op
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
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.schema import SchemaItem

revision = "2"
down_revision = None  # 1 is what a book without a mark of its schema has

NEW = (
    "reversal",
    "key_end",
    "refusal",
    "unit_fact",
    "unit_fact_end",
    "contract_part",
    "contract_change",
    "credit_limit",
    "application_fact",
    "paper",
    "consent",
    "waiting",
    "voucher_funder",
    "freeze",
    "freeze_end",
    "debt",
    "debt_payment",
    "debt_relief",
    "debt_return",
    "compaction",
    "reconciliation",
    "refund",
    "refund_share",
    "account_closing",
    "deduction_month",
    "red_invoice",
    "claim_withdrawal",
    "claim_debt",
    "claim_repayment",
    "reserve_return",
    "balance",
)
BALANCES = (
    "INSERT INTO balance (account, owner, amount_micro, upto) SELECT account, owner, "
    "SUM(amount_micro), MAX(CAST(seq AS BIGINT) * 1000000 + line) FROM posting "
    "GROUP BY account, owner"
)
LIVE = "tasks - COALESCE((SELECT SUM(e.tasks) FROM hold_end AS e WHERE e.hold = id), 0)"

tables = MetaData()


def _text(name: str, *rest: object, null: bool = False, pk: bool = False) -> Column[str]:
    return Column(name, Text, *rest, nullable=null, primary_key=pk)  # type: ignore[arg-type]


def _int(name: str, *rest: object, null: bool = False, pk: bool = False) -> Column[int]:
    return Column(name, BigInteger, *rest, nullable=null, primary_key=pk, autoincrement=False)  # type: ignore[arg-type]


def _entry() -> Column[int]:
    """Declare which entry a row belongs to; rows go in before the entry that seals them."""
    sealed_by = ForeignKey("journal.seq", deferrable=True, initially="DEFERRED")
    return Column("seq", Integer, sealed_by, nullable=False, autoincrement=False)


def _of_entry(name: str, *columns: SchemaItem) -> Table:
    """Declare a table whose rows are covered by a journal entry."""
    return Table(name, tables, _entry(), *columns, Index(f"{name}_seq", "seq"))


def _none_of(accounts: Iterable[str]) -> str:
    return " AND ".join(f"account <> '{account}'" for account in accounts)


def _where(condition: str) -> dict[str, Any]:
    """Return what limits an index to some rows, in both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


_NEVER_BELOW = _none_of(
    (
        "claim.approved",
        "claim.review",
        "receivable",
        "reserve.fund",
        "voucher.cancelled",
        "voucher.deducted",
        "voucher.expired",
        "voucher.left",
    )
)
_NEVER_ABOVE = _none_of(("cash", "programme", "reserve.owed"))
_ROLES = ("unit", "operator", "regulator", "treasury", "auditor", "system")

# What is referred to, and stays as it is.
Table(
    "contract",
    tables,
    Column("account", Text, primary_key=True),
    Column("id", Text, primary_key=True),
)
Table("invoice", tables, Column("number", Text, primary_key=True))
Table("provider", tables, Column("id", Text, primary_key=True))
Table("signed_act", tables, Column("sha256", Text, primary_key=True))
Table("signing_key", tables, Column("key_id", Text, primary_key=True))
Table("statement", tables, Column("id", Text, primary_key=True))
Table("unit", tables, Column("id", Text, primary_key=True))
Table("voucher", tables, Column("id", Text, primary_key=True))

Table(
    "journal",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("key"),
    _text("code"),
    _text("actor"),
    _text("role", CheckConstraint(f"role IN {_ROLES}", name="role_known")),
    _int("at_s"),
    _int("effective_s"),
    Column("reverses", Integer, ForeignKey("journal.seq"), nullable=True),
    _text("content"),
    _text("prev_hash"),
    _text("hash"),
    UniqueConstraint("key"),
    Index("journal_reverses", "reverses", unique=True, **_where("reverses IS NOT NULL")),
)
Table(
    "posting",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True),
    _text("account"),
    _text("owner"),
    _int("amount_micro", CheckConstraint("amount_micro <> 0", name="amount_not_zero")),
    sqlite_with_rowid=False,
)
_of_entry(
    "reversal",
    Column("of_seq", Integer, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    _text("reason"),
)
_of_entry(
    "key_end",
    _text("key_id", ForeignKey("signing_key.key_id"), pk=True),
    _text("kind", CheckConstraint("kind IN ('replaced', 'revoked')", name="kind_known")),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
_of_entry(
    "refusal",
    _text("sha256", pk=True),
    _text("verb"),
    _text("subject"),
    _text("code"),
    _text("message", pk=True),
)
_of_entry(
    "unit_fact",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("fact", pk=True),
    _text("from_on", pk=True),
    _text("until_on", null=True),
    _text("source"),
)
_of_entry(
    "unit_fact_end",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _text("fact", pk=True),
    _text("from_on", pk=True),
    _text("until_on"),
)
_of_entry(
    "contract_part",
    _text("contract", ForeignKey("contract.id"), pk=True),
    _text("kind", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)
_of_entry(
    "contract_change",
    _text("contract", ForeignKey("contract.id"), pk=True),
    _int("number", pk=True),
    _text("kind", CheckConstraint("kind IN ('amended', 'ended')", name="kind_known")),
    _text("effective_on"),
    _int("fee_fen", CheckConstraint("fee_fen >= 0", name="fee_not_negative")),
    _int("until_s"),
    _text("paper_sha256"),
)
_of_entry(
    "credit_limit",
    _text("account", ForeignKey("contract.account"), pk=True),
    _int("from_s", pk=True),
    _int("amount_fen", CheckConstraint("amount_fen >= 0", name="amount_not_negative")),
)
_of_entry(
    "application",
    _text("id", pk=True),
    _text("contract", ForeignKey("contract.id")),
    _text("category"),
    _text("channel", CheckConstraint("channel IN ('online', 'offline')", name="channel_known")),
    _text("paper_sha256"),
    _text("project", null=True),
    _int("fee_fen", null=True),
)
_of_entry(
    "application_fact",
    _text("application", ForeignKey("application.id"), pk=True),
    _text("fact", pk=True),
    _text("value", null=True),
)
_of_entry(
    "paper",
    _text("application", ForeignKey("application.id"), pk=True),
    _text("sha256", pk=True),
    _text("kind"),
    _text("name"),
    _int("size_bytes", CheckConstraint("size_bytes > 0", name="size_positive")),
)
_of_entry("consent", _text("application", ForeignKey("application.id"), pk=True))
_of_entry(
    "waiting",
    _text("application", ForeignKey("application.id"), pk=True),
    _int("wanted_fen", CheckConstraint("wanted_fen > 0", name="wanted_positive")),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
_of_entry(
    "voucher_funder",
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _text("funder", pk=True),
    _int("place"),
    _int("amount_fen", CheckConstraint("amount_fen >= 0", name="amount_not_negative")),
)
_of_entry(
    "freeze",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _int("from_s", pk=True),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
_of_entry(
    "freeze_end",
    _text("unit", ForeignKey("unit.id"), pk=True),
    _int("from_s", pk=True),
    _int("until_s"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
_of_entry(
    "debt",
    _text("id", pk=True),
    _text("voucher", ForeignKey("voucher.id")),
    _text("kind", CheckConstraint("kind IN ('amended', 'clawback')", name="kind_known")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("reason"),
    _text("act_sha256", ForeignKey("signed_act.sha256"), null=True),
)
_of_entry(
    "debt_payment",
    _text("reference", pk=True),
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)
_of_entry(
    "debt_relief",
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    PrimaryKeyConstraint("debt", "seq"),
)
_of_entry(
    "debt_return",
    _text("reference", pk=True),
    _text("debt", ForeignKey("debt.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
    _text("act_sha256", ForeignKey("signed_act.sha256")),
)
Table(
    "segment",
    tables,
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
Table(
    "charge",
    tables,
    Column("seq", Integer, nullable=False, autoincrement=False),
    _text("account", ForeignKey("contract.account"), pk=True),
    _text("month", pk=True),
    _text("path", pk=True),
    _int("charge_micro"),
    _int("eligible_micro"),
    ForeignKeyConstraint(["seq", "path"], ["segment.seq", "segment.path"]),
    sqlite_with_rowid=False,
)
_of_entry(
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
_of_entry(
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
_of_entry(
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
_of_entry(
    "refund_share",
    _text("refund", ForeignKey("refund.id"), pk=True),
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
)
_of_entry(
    "account_closing",
    _text("account", ForeignKey("contract.account"), pk=True),
    _text("month", pk=True),
    _int("at_s"),
    _int("upto_seq"),
)
_of_entry(
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
_of_entry(
    "deduction_month",
    _text("statement", ForeignKey("statement.id"), pk=True),
    _text("usage_month", pk=True),
    _text("voucher", ForeignKey("voucher.id"), pk=True),
    _int("amount_fen"),
)
_of_entry(
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
_of_entry(
    "claim",
    _text("id", pk=True),
    _text("provider", ForeignKey("provider.id")),
    _text("quarter"),
    _int("amount_fen"),
    _text("claimant", ForeignKey("unit.id"), null=True),
)
_of_entry("claim_withdrawal", _text("claim", ForeignKey("claim.id"), pk=True), _text("reason"))
_of_entry("claim_debt", _text("claim", ForeignKey("claim.id"), pk=True))
"""What credits leave below zero after a provider's last claim: it owes that to the treasury."""
_of_entry(
    "claim_repayment",
    _text("reference", pk=True),
    _text("claim", ForeignKey("claim_debt.claim")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)
_of_entry(
    "reserve_return",
    _text("reference", pk=True),
    _text("provider", ForeignKey("provider.id")),
    _int("amount_fen", CheckConstraint("amount_fen > 0", name="amount_positive")),
    _text("paid_on"),
)
Table(
    "balance",
    tables,
    _text("account"),
    _text("owner"),
    _int("amount_micro"),
    _int("upto"),  # the last posting in it, as `PLACE` has it
    PrimaryKeyConstraint("owner", "account"),
    CheckConstraint(f"amount_micro >= 0 OR {_NEVER_BELOW}", name="never_below"),
    CheckConstraint(f"amount_micro <= 0 OR {_NEVER_ABOVE}", name="never_above"),
    sqlite_with_rowid=False,
)
Table(
    "hold",
    tables,
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


def upgrade() -> None:
    """Bring a book of schema 1 to schema 2."""
    for name in NEW:
        tables.tables[name].create(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":  # which can alter no constraint
        for name in ("journal", "posting", "application", "segment", "statement_line", "claim"):
            _make_anew(name)
        _make_anew("hold", live=LIVE, turn="0")
    else:
        _alter()
    _make_anew("charge")  # its columns are in another order
    op.execute(BALANCES)


def _make_anew(name: str, **filled: str) -> None:
    """Make a table as it is now, with the rows that it had and a column filled by an expression."""
    conn = op.get_bind()
    had = [f'"{column["name"]}"' for column in inspect(conn).get_columns(name)]
    op.execute(f"CREATE TEMPORARY TABLE had AS SELECT * FROM {name}")  # noqa: S608 - our own names
    op.execute(f"DROP TABLE {name}")
    tables.tables[name].create(conn)
    op.execute(
        f"INSERT INTO {name} ({', '.join([*had, *filled])}) "  # noqa: S608 - as above
        f"SELECT {', '.join([*had, *filled.values()])} FROM had"
    )
    op.execute("DROP TABLE had")


def _alter() -> None:
    """Change the other tables where they stand (PostgreSQL)."""
    op.drop_constraint("journal_hash_key", "journal")
    op.drop_constraint("journal_reverses_key", "journal")
    one_of_each = _where("reverses IS NOT NULL")
    op.create_index("journal_reverses", "journal", ["reverses"], unique=True, **one_of_each)
    op.drop_constraint("posting_seq_fkey", "posting")
    op.drop_index("posting_owner", "posting")
    op.drop_constraint("application_contract_key", "application")
    op.add_column("application", _text("project", null=True))
    op.add_column("application", _int("fee_fen", null=True))
    op.drop_index("segment_seq", "segment")
    op.execute("ALTER TABLE segment ADD UNIQUE (seq, path)")
    op.add_column("statement_line", _text("refund", ForeignKey("refund.id"), null=True))
    op.add_column("claim", _text("claimant", ForeignKey("unit.id"), null=True))
    op.drop_index("hold_account", "hold")
    op.add_column("hold", _int("live", null=True))
    op.execute(f"UPDATE hold SET live = {LIVE}")  # noqa: S608 - our own names
    op.alter_column("hold", "live", nullable=False)
    op.add_column("hold", _int("turn", null=True))
    op.execute("UPDATE hold SET turn = 0")
    op.alter_column("hold", "turn", nullable=False)
    op.create_check_constraint("live_within_tasks", "hold", "live BETWEEN 0 AND tasks")
    for index in tables.tables["hold"].indexes:
        index.create(op.get_bind())
