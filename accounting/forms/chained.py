"""What ties a paper to the book: the entry that it is of, and the signed head above it."""

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema


def effective_s(conn: Connection, seq: int) -> int:
    """Return the instant in the book at which an entry was written."""
    table = schema.journal.c
    return int(conn.execute(select(table.effective_s).where(table.seq == seq)).scalar_one())


def of_entry(conn: Connection, seq: int) -> tuple[str, ...]:
    """Say which entry a paper is of, and the first signed head of the chain that covers it."""
    return (f"账簿第 {seq} 号记录，SHA-256：{ledger.hash_of(conn, seq)}", _signed(conn, seq))


def of_head(conn: Connection) -> tuple[str, ...]:
    """Say up to which entry of the book a paper goes, and the last signed head of the chain."""
    seq, head_hash = ledger.head(conn)
    table = schema.anchor
    last = conn.execute(select(table).order_by(table.c.head_seq.desc()).limit(1)).one_or_none()
    return (f"截至账簿第 {seq} 号记录，SHA-256：{head_hash}", _said(last))


def _signed(conn: Connection, seq: int) -> str:
    table = schema.anchor
    query = select(table).where(table.c.head_seq >= seq).order_by(table.c.head_seq).limit(1)
    return _said(conn.execute(query).one_or_none())


def _said(anchor: object | None) -> str:
    if anchor is None:
        return "链头签名：尚无"
    row = anchor._mapping  # type: ignore[attr-defined]  # a Row, which only SQLAlchemy can name
    return (
        f"链头签名：{row['day']}，第 {row['head_seq']} 号，{row['head_hash']}；"
        f"密钥 {row['key_id']}，Ed25519 {row['signature']}"
    )
