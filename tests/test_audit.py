"""accounting/proof/audit.py and evidence.py: each rule finds what it is for, and nothing else does.

A forger who can write to the book does not stop at one figure: here he hashes the whole chain
anew, so that only the rule that knows better is left.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import delivery
import msgspec
import pytest
import town as towns
from delivery import (
    DECEMBER,
    JANUARY,
    close,
    draw,
    grant,
    invoice,
    open_claim,
    pay_out,
    review,
    run,
    submit,
    take,
    yuan,
)
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import Connection
from town import ACCOUNT, CLUSTER, OTHER_PROVIDER, PROVIDER, Town, stamp

from accounting.book import keys as keys_of_book
from accounting.book import ledger, schema, signing, triggers
from accounting.book.ledger import Entry, Posting
from accounting.errors import VoucherError
from accounting.policy import Cap
from accounting.proof import audit, signed
from accounting.redeem import reserve
from accounting.settle import invoicing, refunding
from accounting.vouchers import entitling, freezing, holds, issuing

STATEMENT = f"S-{ACCOUNT}-2024-11"
CLAIM = f"C-{PROVIDER}-2024-Q4-1"


@pytest.fixture(scope="module")
def story(made: Path, keys: Mapping[str, Mapping[str, str]], tmp_path_factory) -> Path:
    """A folder with a book and an archive in which everything has happened once."""
    folder = tmp_path_factory.mktemp("story")
    shutil.copy(made / "town.db", folder / "book.db")
    town = opened(folder, keys)
    delivery.load_prices(town)
    with town.begin() as conn:
        asked = holds.Request("a" * 32, CLUSTER, ACCOUNT, towns.UID, 1, 10**6, 10**6, {})
        holds.place(conn, asked, town.policy, towns.instant(DECEMBER))
    take(town, *(run(i, 12_000, qos=qos) for i, qos in enumerate(("a", "b", "c"), 1)))
    take(town, yuan(4, 200, state="REQUEUED"), yuan(4, 80, DECEMBER, hold="a" * 32), at=DECEMBER)
    take(town, run(9, 3600, gres="gpu:ascend_910b=2", cards=2, partition="cards"))
    close(town, "2024-11")
    take(town, yuan(4, 180, state="REQUEUED"), yuan(5, 7, voucher=None), at=DECEMBER)
    lost = run(2, 12_000, qos="b")
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    refunding.refund(town.engine, town.archive, key, "lost", town.policy, stamp(DECEMBER))
    close(town, "2024-12")
    invoice(town, "2024-11")
    invoice(town, "2024-12")
    with town.begin() as conn:
        paper = f"S-{ACCOUNT}-2024-12"
        invoicing.record_red(conn, paper, "R-1", None, town.policy, stamp(JANUARY))
    grant(town, "500.00")
    draw(town, f"{STATEMENT}/1")
    submit(town, open_claim(town))
    review(town, CLAIM, {f"{STATEMENT}/2": "no log"})
    pay_out(town, CLAIM)
    submit(town, open_claim(town))
    town.engine.dispose()
    return folder


def opened(folder: Path, keys: Mapping[str, Mapping[str, str]]) -> Town:
    """Open the book of a folder."""
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}")
    return Town(engine, folder / "archive", keys)


@pytest.fixture
def forged(story: Path, keys: Mapping[str, Mapping[str, str]], tmp_path: Path) -> Iterator[Town]:
    """A copy of the story's book that lets itself be changed."""
    shutil.copytree(story, tmp_path / "copy")
    town = opened(tmp_path / "copy", keys)
    with town.begin() as conn:
        query = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in conn.execute(query).scalars().all():
            conn.exec_driver_sql(f"DROP TRIGGER {name}")
    yield town
    town.engine.dispose()


def change(town: Town, statement: str, **values: object) -> None:
    """Change rows of the book, against its constraints if need be."""
    with town.engine.connect() as conn:
        raw = conn.connection.dbapi_connection
        assert raw is not None
        cursor = raw.cursor()
        for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(statement, values)
        assert cursor.rowcount > 0, f"{statement} changed nothing"
        raw.commit()
        conn.invalidate()


def rehash(town: Town, *, sign: bool = True) -> None:
    """Write every entry anew from what the tables say now, as somebody would who hides a change,
    and who also has all of the keys unless he is told to `sign` nothing."""
    with town.begin() as conn:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        before = ledger.GENESIS
        query = select(schema.journal).order_by(schema.journal.c.seq)
        for entry in conn.execute(query).mappings().all():
            if sign:
                sign_anew(conn, town, entry["seq"])
            row = dict(entry) | {"prev_hash": before, "content": _content(conn, entry["seq"])}
            row["hash"] = before = ledger.entry_hash(row)
            place = schema.journal.c.seq == entry["seq"]
            conn.execute(schema.journal.update().where(place).values(row))
    for statement in triggers.REBUILD:
        change(town, statement)


def sign_anew(conn: Connection, town: Town, seq: int) -> None:
    """Sign the acts of an entry anew for what their subjects are by now; others stay."""
    secret = {key["key"]: key for key in town.keys.values()}
    for row in conn.execute(select(schema.signed_act).filter_by(seq=seq)).all():
        try:
            act = signing.verify(conn, json.loads(row.text))
        except (VoucherError, ValueError):
            continue
        now = signed._hash_of_subject(conn, act)
        if now in (None, act.subject_hash) or act.sha256 != row.sha256:
            continue
        draft = {n: v for n, v in json.loads(act.text).items() if n != "signature"}
        new = signing.verify(conn, signing.sign(draft | {"subject_hash": now}, secret[act.key_id]))
        is_old = schema.signed_act.c.sha256 == row.sha256
        conn.execute(schema.signed_act.update().where(is_old).values(signing.act_row(new)))
        for table in schema.COVERED.values():
            if "act_sha256" in table.c:
                leans = table.c.act_sha256 == row.sha256
                conn.execute(table.update().where(leans).values(act_sha256=new.sha256))


def _content(conn: Connection, seq: int) -> str:
    rows = {}
    for name, table in schema.COVERED.items():
        by_key = not table.dialect_options["sqlite"]["with_rowid"]
        order = table.primary_key.columns if by_key else [text("rowid")]
        query = select(table).where(table.c.seq == seq).order_by(*order)
        found = [dict(row) for row in conn.execute(query).mappings()]
        if found:
            rows[name] = [
                {k: v for k, v in row.items() if k != "seq" and v is not None} for row in found
            ]
    query = select(schema.posting).where(schema.posting.c.seq == seq)
    lines = conn.execute(query.order_by(schema.posting.c.line)).all()
    postings = [[p.account, p.owner, p.amount_micro] for p in lines]
    return ledger.canonical({"rows": rows, "postings": postings})


def rules(town: Town) -> set[str]:
    """Return the rules that found something."""
    return {finding.rule for finding in delivery.findings(town)}


def move(town: Town, code: str, account: str, other: str, micro: int = 10_000) -> None:
    """Shift an amount between two postings of the first entry of a code."""
    where = "seq = (SELECT MIN(seq) FROM journal WHERE code = :code) AND account = :account"
    for name, amount in ((account, micro), (other, -micro)):
        change(
            town,
            f"UPDATE posting SET amount_micro = amount_micro + :amount WHERE {where}",
            code=code,
            account=name,
            amount=amount,
        )


def add_claim(town: Town) -> None:
    """Claim a line that is paid once more."""
    line = {"claim": "C-2", "line": f"{STATEMENT}/1", "amount_fen": 167}
    with town.begin() as conn:
        paper = conn.execute(select(schema.statement_line).filter_by(id=line["line"])).one()
        line["amount_fen"] = paper.deduction_fen
        row = {
            "id": "C-2",
            "provider": PROVIDER,
            "quarter": "2024-Q4",
            "amount_fen": paper.deduction_fen,
        }
        rows = {"claim": [row], "claim_line": [line]}
        ledger.write(conn, Entry("claim:C-2", "claim.open", stamp(JANUARY), rows))


def leave_a_credit_out(town: Town) -> None:
    """Give a run back that was paid, and open a claim that does not take the credit off."""
    lost = run(1, 12_000, qos="a")
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    refunding.refund(town.engine, town.archive, key, "lost too", town.policy, stamp(JANUARY))
    close(town, "2025-01")
    row = {"id": "C-3", "provider": PROVIDER, "quarter": "2024-Q4", "amount_fen": 0}
    with town.begin() as conn:
        at = stamp(delivery.AFTER["2025-01"])
        ledger.write(conn, Entry("claim:C-3", "claim.open", at, {"claim": [row]}))


def overfill(town: Town) -> None:
    """Deliver 32 cards for a day where there are 16."""
    cards = {"gres": "gpu:ascend_910b=32", "cards": 32, "partition": "cards"}
    take(town, run(77, 86_400, "2024-12-20T00:00:00+08:00", **cards))


def take_back_something_else(town: Town) -> None:
    """Write an entry that says it takes the first voucher back, and posts something else."""
    lines = [Posting("bank", PROVIDER, 1), Posting("bank", OTHER_PROVIDER, -1)]
    with town.begin() as conn:
        of = conn.execute(select(schema.voucher.c.seq)).scalar()
        ledger.write(conn, Entry("undo", "test", stamp(), {}, lines, reverses=of))


def pass_over(town: Town) -> None:
    """Serve the second of two that wait for the same amount."""
    none = Cap(scope="programme", max_fen=1, categories=("general",))
    rules = msgspec.structs.replace(
        town.policy, issue=msgspec.structs.replace(town.policy.issue, caps=(none,))
    )
    ids = []
    with town.begin() as conn:
        for name in ("earlier", "later"):
            towns.add_contract(conn, name)
            ids.append(towns.add_application(conn, name))
    assert [towns.confirm(town, each, rules=rules) for each in ids] == [None, None]
    with town.begin() as conn:
        act = conn.execute(select(schema.waiting.c.act_sha256).filter_by(application=ids[1]))
        given = entitling.entitled(conn, ids[1], town.policy, towns.instant(towns.NOW))
        later = conn.execute(select(schema.application).filter_by(id=ids[1])).one()
        issuing.issue(
            conn, later, "voucher.issue", act.scalar_one(), "", given, town.policy, stamp(), rows={}
        )


def change_a_price(town: Town) -> None:
    """Load another price list than runs were rated by, under the same name."""
    with town.begin() as conn:
        _, text = ledger.document(conn, "tariff", "round-1")
    row = towns.document("tariff", "round-1", text.replace('"1.00"', '"1.01"'))
    change(
        town, "UPDATE document SET text = :text, sha256 = :sha256 WHERE version = :version", **row
    )


SQL = {
    "signatures": "UPDATE signed_act SET text = replace(text, '\"reasons\"', '\"reasons2\"')"
    " WHERE verb = 'claim.review'",
    "keys": "INSERT INTO signing_key SELECT MIN(seq), '0', 'regulator', 'mayor', '00' FROM journal"
    " WHERE code = 'provider.add'",
    "papers": "INSERT INTO paper SELECT seq, id, paper_sha256, 'contract', 'a.pdf', 1 FROM"
    " application",
    "debts": "INSERT INTO debt SELECT seq, 'D-1', id, 'amended', 500, 'less', NULL FROM voucher",
    "issue": "UPDATE contract SET fee_fen = fee_fen - 100",
    "funders": "INSERT INTO voucher_funder SELECT seq, id, 'province', 0, 5 FROM voucher",
    "statements": "UPDATE statement SET eligible_micro = eligible_micro + 1",
    "invoices": "UPDATE red_invoice SET gross_fen = gross_fen - 1, net_fen = net_fen - 1",
    "refunds": "UPDATE refund SET deduction_fen = deduction_fen + 1",
    "balances": "UPDATE payment SET amount_fen = amount_fen + 1",
    "withdrawn": "INSERT INTO claim_withdrawal SELECT (SELECT MAX(seq) FROM journal), id, 'no'"
    " FROM claim WHERE id LIKE '%-1'",
    "paid": "UPDATE claim SET amount_fen = amount_fen + 1 WHERE id LIKE '%-1'",
    "reserve": "UPDATE reserve_draw SET amount_fen = amount_fen + 1",
    "documents": "INSERT INTO document SELECT seq, kind, 'generous', sha256, text FROM document"
    " WHERE kind = 'policy'",
}
"""For each rule a change that nothing else knows of."""

FORGERIES: Mapping[str, Callable[[Town], None]] = {
    **{rule: lambda town, sql=sql: change(town, sql) for rule, sql in SQL.items()},  # type: ignore[misc]
    "vouchers": lambda town: move(town, "application.confirm", "voucher.left", "programme"),
    "reversals": take_back_something_else,
    "claimed-once": add_claim,
    "credited": leave_a_credit_out,
    "receivable": lambda town: move(town, "claim.submit", "claim.review", "claim.unclaimed"),
    "waiting": pass_over,
    "capacity": overfill,
    "replay": change_a_price,
}


def test_a_happy_story_has_no_findings(story: Path, keys) -> None:
    """From the application to the payout, with a correction and a refused line: 0 findings."""
    town = opened(story, keys)

    assert delivery.findings(town) == []
    with town.begin() as conn:
        states = {row["id"]: row["state"] for row in delivery.redemption.claims(conn)}
    assert list(states.values()) == ["paid", "under review"]
    town.engine.dispose()


def test_an_untouched_copy_hashes_the_same(forged: Town) -> None:
    """The forger's tool changes nothing by itself: the head of the chain is the same."""
    with forged.begin() as conn:
        before = ledger.head(conn)
    rehash(forged)
    with forged.begin() as conn:
        assert ledger.head(conn) == before
    assert rules(forged) == set()


def test_every_rule_is_forged_against() -> None:
    """There is a forgery here for each rule of the audit."""
    elsewhere = {"chain", "running", "anchors", "archive"}

    assert set(FORGERIES) | elsewhere == set(audit.RULES)


@pytest.mark.parametrize("rule", FORGERIES)
def test_one_rule_knows_better(forged: Town, rule: str) -> None:
    """A change that is hashed into the chain is found by exactly the rule that it breaks."""
    FORGERIES[rule](forged)
    rehash(forged)

    assert rules(forged) == {rule}
    assert all(finding.advice and finding.subject for finding in delivery.findings(forged))


@pytest.mark.parametrize(
    ("rule", "forge"),
    [
        ("documents", lambda t: change(t, "UPDATE document SET text = text || ' '")),
        ("vouchers", lambda t: move(t, "statement", "voucher.left", "voucher.deducted")),
        ("balances", lambda t: move(t, "charge", "accrued", "revenue")),
        ("balances", lambda t: move(t, "statement", "accrued", "rounding")),
        ("receivable", lambda t: move(t, "claim.review", "claim.approved", "claim.disputed")),
        ("receivable", lambda t: move(t, "claim.pay", "claim.approved", "bank")),
        ("reserve", lambda t: move(t, "reserve.grant", "reserve.fund", "reserve.owed")),
        ("reserve", lambda t: move(t, "reserve.draw", "reserve.fund", "bank")),
        ("balances", lambda t: move(t, "payment", "bank", "cash")),
    ],
)
def test_a_shifted_posting(forged: Town, rule: str, forge: Callable[[Town], None]) -> None:
    """Money that is moved between ledger accounts is found by the rule of those accounts."""
    forge(forged)
    rehash(forged)

    assert rules(forged) == {rule}


def test_a_fen_moved_between_lines(forged: Town) -> None:
    """Lines that still add up, but not as they were worked out, are found by the replay."""
    for number, sign in ((1, "+"), (2, "-")):
        change(
            forged,
            f"UPDATE statement_line SET fee_fen = fee_fen {sign} 1, cash_fen = cash_fen {sign} 1"
            " WHERE id = :id",
            id=f"{STATEMENT}/{number}",
        )
    rehash(forged)

    assert rules(forged) == {"replay"}


def test_an_act_of_another_subject(forged: Town) -> None:
    """A payout that leans on an act for something else is found, though that act is genuine."""
    change(
        forged,
        "UPDATE reserve_grant SET act_sha256 = (SELECT sha256 FROM signed_act"
        " WHERE verb = 'claim.pay')",
    )
    rehash(forged, sign=False)  # a grant that names a later act, which is for it, nobody can make

    assert rules(forged) == {"signatures"}
    assert "reserve grant R-1" in {finding.subject for finding in delivery.findings(forged)}


def test_an_act_of_another_subject_over_the_same_amount(forged: Town) -> None:
    """A grant that leans on the other provider's act of the same amount is found."""
    with forged.begin() as conn:
        draft = reserve.draft_grant(conn, OTHER_PROVIDER, 50_000, "R-2")
    act = forged.signed(draft, "treasury")
    with forged.begin() as conn:
        reserve.accept_grant(conn, act, stamp())
    rehash(forged)
    assert rules(forged) == set()
    change(
        forged,
        "UPDATE reserve_grant SET act_sha256 = :act WHERE reference = 'R-1'",
        act=act.sha256,
    )
    rehash(forged)

    [found, unused] = delivery.findings(forged)
    assert (found.rule, found.subject) == ("signatures", "reserve grant R-1")
    assert (unused.rule, unused.subject.split()[0]) == ("signatures", "act")


def test_a_fund_below_zero(forged: Town) -> None:
    """A draw above what the fund held is found, though ledger and papers agree."""
    change(forged, "UPDATE reserve_draw SET amount_fen = amount_fen + 100000")
    move(forged, "reserve.draw", "bank", "reserve.fund", 1_000_000_000)
    rehash(forged)

    assert rules(forged) == {"reserve"}


def test_a_payout_that_grew(forged: Town) -> None:
    """A payout that is raised is more than was approved, than was signed and than was owed."""
    change(forged, "UPDATE payout SET amount_fen = amount_fen + 1000000")
    rehash(forged)

    assert rules(forged) == {"signatures", "paid"}


CHAIN = {
    "an actor": "UPDATE journal SET actor = 'nobody' WHERE seq = 5",
    "an instant": "UPDATE journal SET at_s = at_s + 1 WHERE seq = 5",
    "a content": "UPDATE journal SET content = 'nothing' WHERE seq = 5",
    "an empty content": "UPDATE journal SET content = '[]' WHERE seq = 5",
    "a name": "UPDATE unit SET name = 'another'",
    "a row too many": "INSERT INTO provider VALUES (5, 'third', 'third')",
    "a row of no entry": "INSERT INTO provider VALUES (999, 'third', 'third')",
    "a row too few": "DELETE FROM member",
    "a posting": "UPDATE posting SET amount_micro = amount_micro + 1 WHERE account = 'bank'",
    "an entry": "DELETE FROM journal WHERE code = 'member.add'",
    "the order": "UPDATE journal SET prev_hash = hash WHERE seq = 5",
}


@pytest.mark.parametrize("what", CHAIN)
def test_a_change_that_is_not_hashed(forged: Town, what: str) -> None:
    """Whatever is changed, added or taken away without hashing anew breaks the chain."""
    change(forged, CHAIN[what])

    assert "chain" in rules(forged)


@pytest.mark.parametrize("what", ["an actor", "an instant", "a name", "the order"])
def test_only_the_chain_knows_of_it(forged: Town, what: str) -> None:
    """A change that no figure depends on is found by the chain alone."""
    change(forged, CHAIN[what])

    assert rules(forged) == {"chain"}


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE balance SET amount_micro = amount_micro + 1 WHERE account = 'bank'",
        "DELETE FROM balance WHERE account = 'rounding'",
        "INSERT INTO balance VALUES ('cash', 'nobody', -1, 1)",
        "UPDATE balance SET upto = upto + 1 WHERE account = 'bank'",
    ],
)
def test_a_running_balance_that_is_no_sum(forged: Town, forgery: str) -> None:
    """A balance that is changed, gone or made up is found by comparing it with the postings."""
    change(forged, forgery)

    [found] = delivery.findings(forged)
    assert (found.rule, found.subject.split()[0]) == ("running", "balance")


def anchored(town: Town) -> dict[str, Any]:
    """Sign the head of the chain; return what is kept outside."""
    with town.begin() as conn:
        return signing.anchor(conn, town.keys["system"], "2025-01-10", stamp(JANUARY))


def rules_beside(town: Town, head: Mapping[str, Any]) -> set[str]:
    """Return the rules that find something when a head was kept outside."""
    with town.begin() as conn:
        books = audit.Books(
            conn, town.archive, town.policy, town.archive.parent / "papers", {"2025-01-10": head}
        )
        return {finding.rule for finding in audit.findings(books)}


def test_a_chain_that_was_rewritten(forged: Town) -> None:
    """Who rewrites and hashes the whole chain is found by a head that was signed before."""
    anchored(forged)
    assert rules(forged) == set()
    change(forged, CHAIN["a name"])
    rehash(forged)

    assert rules(forged) == {"anchors"}


def test_a_head_that_was_signed_by_somebody_else(forged: Town) -> None:
    """A head whose place and hash are forged to fit has no signature of the book's key."""
    anchored(forged)
    change(forged, CHAIN["a name"])
    change(forged, "UPDATE anchor SET head_hash = (SELECT hash FROM journal WHERE seq = head_seq)")
    rehash(forged)

    assert rules(forged) == {"anchors"}


def test_a_head_that_was_kept_outside(forged: Town) -> None:
    """Who rewrites the chain and signs its heads anew, with the book's own key, is found by a head
    that somebody else kept."""
    head = anchored(forged)
    assert rules_beside(forged, head) == set()
    change(forged, CHAIN["a name"])
    rehash(forged)
    with forged.begin() as conn:
        now = conn.execute(select(schema.journal.c.hash).filter_by(seq=head["head_seq"])).scalar()
        new = {name: head[name] for name in signing.HEAD} | {"head_hash": now}
        new["signature"] = signing.signature(forged.keys["system"], new)
        conn.execute(schema.anchor.update().values(new))
    rehash(forged)

    assert rules(forged) == set()
    assert rules_beside(forged, head) == {"anchors"}


@pytest.mark.parametrize(
    "change", [{"head_seq": 10**6}, {"key_id": "0" * 16}, {"day": "2025-01-11"}, {"signature": "x"}]
)
def test_a_kept_head_of_another_chain(forged: Town, change: Mapping[str, Any]) -> None:
    """A head beyond the chain's end, or one that the book's key did not sign, is found."""
    head = anchored(forged) | change
    if "head_seq" in change:
        unsigned = {name: head[name] for name in signing.HEAD}
        head["signature"] = signing.signature(forged.keys["system"], unsigned)

    assert rules_beside(forged, head) == {"anchors"}


@pytest.mark.parametrize("how", ["missing", "changed", "cut", "swapped"])
def test_a_damaged_archive(forged: Town, how: str) -> None:
    """A segment that is gone or is not what it was is named, and the replay says it cannot."""
    files = sorted((forged.archive / "usage").rglob("*.parquet"))
    whole = files[0].read_bytes()
    contents = {
        "missing": None,
        "changed": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "cut": whole[:-1],
        "swapped": files[1].read_bytes(),
    }
    content = contents[how]
    files[0].unlink() if content is None else files[0].write_bytes(content)
    found = {finding.rule: finding for finding in delivery.findings(forged)}

    assert set(found) == {"archive", "replay"}
    assert found["archive"].subject == f"segment {files[0].relative_to(forged.archive).as_posix()}"
    assert found["replay"].message == "segments are damaged, so nothing can be replayed"


def test_a_segment_whose_sums_were_changed(forged: Town) -> None:
    """Sums in the book that the file does not have are found by the file."""
    change(forged, "UPDATE segment SET charge_micro = charge_micro + 1")
    rehash(forged)

    assert rules(forged) == {"archive", "replay"}


def test_an_archive_that_was_rewritten(forged: Town) -> None:
    """A segment written anew with a cheaper run, hash and all, is found by the replay."""
    with forged.begin() as conn:
        seq = conn.execute(select(func.min(schema.segment.c.seq))).scalar_one()
        segment = conn.execute(select(schema.segment).filter_by(seq=seq)).mappings().one()
        found = delivery.charging.stored.segments(conn, path=segment["path"])
    rows = delivery.charging.archive.read(forged.archive, found).to_pylist()
    for row in rows:
        row["charge_micro"] //= 2
    table = delivery.charging.pa.Table.from_pylist(rows, schema=delivery.usage.STORED)
    month, archive = segment["month"], delivery.charging.archive
    again = archive.write(forged.archive, CLUSTER, month, table)
    (forged.archive / segment["path"]).write_bytes((forged.archive / again.path).read_bytes())
    (forged.archive / again.path).unlink()
    again = replace(again, path=segment["path"])
    change(
        forged,
        "UPDATE segment SET sha256 = :sha256, size_bytes = :size_bytes,"
        " charge_micro = :charge_micro WHERE path = :path",
        sha256=again.sha256,
        size_bytes=again.size_bytes,
        charge_micro=again.charge_micro,
        path=again.path,
    )
    rehash(forged)

    assert rules(forged) == {"replay"}


def test_acts_were_signed_for_what_stood_there(forged: Town) -> None:
    """Who rewrites the whole chain and signs nothing is found by the acts of others, also where no
    head was signed: each names the hash of what it is about."""
    change(forged, CHAIN["a name"])
    rehash(forged, sign=False)

    assert rules(forged) == {"signatures"}


def issue_alone(town: Town) -> None:
    """Issue a voucher on an application that nobody confirmed."""
    with town.begin() as conn:
        towns.add_contract(conn, "second")
        application = towns.add_application(conn, "second")
        old = dict(conn.execute(select(schema.voucher)).mappings().one())
        del old["seq"]
        own = {"id": "CD24-0002-1", "account": "CD24-0002", "application": application}
        micro = old["amount_fen"] * 10_000
        lines = [
            Posting("voucher.left", own["id"], micro),
            Posting("programme", town.policy.name, -micro),
        ]
        key = f"review:{application}"
        rows = {"voucher": [old | own]}
        ledger.write(conn, Entry(key, "application.confirm", stamp(), rows, lines))


def grant_again(town: Town) -> None:
    """Grant advance money once more on the act of the first time."""
    with town.begin() as conn:
        row = dict(conn.execute(select(schema.reserve_grant)).mappings().one())
        del row["seq"]
        rows = {"reserve_grant": [row | {"reference": "R-9"}]}
        moved = ledger.move(
            PROVIDER, {"reserve.fund": row["amount_fen"], "reserve.owed": -row["amount_fen"]}
        )
        ledger.write(conn, Entry("reserve.grant:R-9", "reserve.grant", stamp(), rows, moved))


def keep_the_advance(town: Town) -> None:
    """Pay a claim without repaying what was drawn for its lines."""
    of_payout = "seq = (SELECT seq FROM payout) AND account = :account"
    with town.begin() as conn:
        query = f"SELECT amount_micro FROM posting WHERE {of_payout}"
        micro = conn.execute(text(query), {"account": "reserve.fund"}).scalar_one()
    change(town, f"DELETE FROM posting WHERE {of_payout}", account="reserve.fund")
    more = f"UPDATE posting SET amount_micro = amount_micro + :micro WHERE {of_payout}"
    change(town, more, account="bank", micro=micro)
    change(town, "UPDATE payout SET repaid_fen = 0")


def to_another_unit(town: Town) -> None:
    """Move a voucher to the account of another unit."""
    with town.begin() as conn:
        towns.add_unit(conn, "another")
        towns.add_contract(conn, "second", unit="another")
        application = towns.add_application(conn, "second")
    assert towns.confirm(town, application)
    change(town, f"UPDATE voucher SET account = '{ACCOUNT}' WHERE account <> '{ACCOUNT}'")


def refuse_alone(town: Town) -> None:
    """Refuse an application on the act that confirmed another."""
    with town.begin() as conn:
        towns.add_contract(conn, "second")
        application = towns.add_application(conn, "second")
        act = conn.execute(select(schema.review.c.act_sha256)).scalar_one()
        row = {"application": application, "verdict": "refused", "reason": "", "act_sha256": act}
        entry = Entry(f"review:{application}", "application.refuse", stamp(), {"review": [row]})
        ledger.write(conn, entry)


def hide_a_freeze(town: Town) -> None:
    """Take the regulator's freeze of a unit out of the book."""
    with town.begin() as conn:
        draft = freezing.draft_freeze(conn, towns.UNIT, date(2025, 1, 1), "blacklisted")
    act = town.signed(draft)
    with town.begin() as conn:
        freezing.accept_freeze(conn, act, town.policy, stamp(JANUARY))
    change(town, "DELETE FROM freeze")


def appoint(town: Town, by: str, verb: str = "key.replace") -> None:
    """Write what brings a further key of the regulator, or ends the first, by another key."""
    key = town.keys["regulator"]["key"]
    with town.begin() as conn:
        if verb == "key.replace":
            draft = keys_of_book.draft_replace(conn, key, MAYOR)
        else:
            draft = keys_of_book.draft_revoke(conn, key, "lost")
        act = signing.verify(conn, signing.sign(draft, town.keys[by]))
        kind = {"key.replace": "replaced", "key.revoke": "revoked"}[verb]
        end = {"key_id": key, "kind": kind, "act_sha256": act.sha256}
        rows = {"signed_act": [signing.act_row(act)], "key_end": [end]}
        if verb == "key.replace":
            rows["signing_key"] = [signing.key_row(MAYOR)]
        ledger.write(conn, Entry("key:forged", verb, stamp(actor=act.actor), rows))


MAYOR = {"actor": "mayor", "role": "regulator", "public": "ab" * 32}


@pytest.mark.parametrize(
    ("rule", "forge"),
    [
        ("signatures", issue_alone),
        ("signatures", grant_again),
        ("signatures", refuse_alone),
        ("signatures", hide_a_freeze),
        ("signatures", lambda t: change(t, "UPDATE payout SET reference = 'another'")),
        ("reserve", keep_the_advance),
        ("issue", to_another_unit),
        ("issue", lambda t: change(t, "UPDATE voucher SET until_s = until_s + 86400")),
        ("issue", lambda t: change(t, "UPDATE voucher SET issued_on = '2024-06-30'")),
        ("keys", lambda t: appoint(t, "system")),
        ("keys", lambda t: appoint(t, "treasury")),
        ("keys", lambda t: appoint(t, "system", "key.revoke")),
    ],
)
def test_what_nobody_decided(forged: Town, rule: str, forge: Callable[[Town], None]) -> None:
    """What stands in a whole and balanced book without an act, on one of another time or by a key
    that may not do that, is found."""
    forge(forged)
    rehash(forged)

    assert rules(forged) == {rule}


@pytest.mark.parametrize(
    "forgery",
    [
        "DELETE FROM application",
        "UPDATE application SET contract = 'none'",
        "UPDATE voucher SET from_s = 'soon'",
        f"UPDATE signed_act SET text = '{'[' * 100_000}'",
        f"UPDATE journal SET content = '{'[' * 100_000}'",
        "UPDATE document SET kind = 'none'",
        "DELETE FROM provider",
    ],
)
def test_what_cannot_be_worked_with_hides_nothing(forged: Town, forgery: str) -> None:
    """Whatever is missing or no value at all is a finding, and the other rules are checked too."""
    change(forged, forgery)
    change(forged, "DELETE FROM balance WHERE account = 'rounding'")

    assert {"chain", "running"} <= rules(forged)


def test_nothing_is_written(forged: Town) -> None:
    """An audit leaves the book as it is, byte for byte."""
    forged.engine.dispose()
    path = Path(forged.engine.url.database or "")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    rules(forged)
    forged.engine.dispose()

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_an_empty_book_adds_up(empty: Town) -> None:
    """A book in which nothing has happened has no findings."""
    assert delivery.findings(empty) == []


def test_other_signatures(forged: Town) -> None:
    """An act whose text is no act, or is for another book, is named."""
    with forged.begin() as conn:
        act = conn.execute(select(schema.signed_act)).mappings().first()
        assert act is not None
        strange = [
            dict(act) | {"sha256": "1" * 64, "text": "no act"},
            dict(act) | {"sha256": "2" * 64, "text": json.dumps({"act": "claim.pay"})},
            dict(act) | {"sha256": "3" * 64},
        ]
        conn.execute(insert(schema.signed_act), strange)
    rehash(forged)
    subjects = [finding.subject for finding in delivery.findings(forged)]

    assert sorted(subjects) == [f"act {digit * 16}" for digit in "123"]


CARDS = {"gres": "gpu:ascend_910b=16", "cards": 16, "partition": "cards"}


@pytest.fixture
def fewer_cards(town: Town) -> Town:
    """The town with 16 cards, of which 8 went away in August 2024."""
    before = '{from: 2023-07-01, cards: {"gpu:ascend_910b": 16}}'
    after = '{from: 2024-08-01, cards: {"gpu:ascend_910b": 8}}'
    prices = delivery.ROUND.replace(before, f"{before}, {after}").replace("round-1", "round-2")
    delivery.load_prices(town, prices, "round-2")
    return town


def test_capacity_that_is_over_does_not_count(fewer_cards: Town) -> None:
    """Of 16 cards that became 8 in August, 16 in use in December are found."""
    take(fewer_cards, run(77, 86_400, "2024-12-20T00:00:00+08:00", **CARDS))

    assert rules(fewer_cards) == {"capacity"}


def test_capacity_holds_as_of_its_day(fewer_cards: Town) -> None:
    """Of 16 cards that became 8 in August, 16 in use in July are fine."""
    take(fewer_cards, run(77, 86_400, "2024-07-20T00:00:00+08:00", **CARDS))

    assert rules(fewer_cards) == set()
