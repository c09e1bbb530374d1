"""A town to test in: a book with two providers, a unit, its contract, keys, voucher and cash.

Plain functions that tests call for what they vary; the fixture `town` is what they mostly take.
Everything happens on a fixed clock: 2024-07-01 10:00 in Chengdu, unless a test says otherwise.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from accounting import money, policy
from accounting.book import ledger, schema, signing
from accounting.book.ledger import Actor, Entry, Stamp
from accounting.policy import Policy
from accounting.vouchers import applying, holds, issuing, papers, registry, releasing

HERE = Path(__file__).parent
NOW = "2024-07-01T10:00:00+08:00"
CLUSTER = "chengdu"
PROVIDER, OTHER_PROVIDER = "cdaicc", "nscc-cd"
UNIT = "sichuan-vision"
UID = 1001
CONTRACT = "2024-AI-001"
ACCOUNT = "CD24-0001"
VOUCHER = "CD24-0001-1"

OPERATOR = Actor("operations", "operator")
REGULATOR = Actor("eic-review", "regulator")
TREASURY = Actor("finance", "treasury")
SIGNERS = (REGULATOR, TREASURY, Actor("book-head", "system"))

POLICY = policy.load(policy.builtin("chengdu-2023"), "policy chengdu-2023")
TARIFF = (HERE / "data" / "tariffs" / "cd-2024-1.yaml").read_text(encoding="utf-8")


def instant(text: str) -> int:
    """Read an ISO instant with its offset as epoch seconds."""
    at = datetime.fromisoformat(text)
    assert at.tzinfo is not None, f"{text} has no offset"
    return int(at.timestamp())


def stamp(at: str = NOW, actor: Actor = OPERATOR) -> Stamp:
    """Say who acts and when."""
    return Stamp(actor, instant(at), instant(at))


def credit_code(body: str) -> str:
    """Append the check digit of GB 32100-2015 to 17 characters, by the standard's own table."""
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
    total = sum(letters.index(c) * w for c, w in zip(body, weights, strict=True))
    return body + letters[(31 - total % 31) % 31]


@dataclass(frozen=True)
class Town:
    """An open book and what a test needs around it."""

    engine: Engine
    archive: Path
    keys: Mapping[str, Mapping[str, str]]
    """Private keys by role."""
    policy: Policy = POLICY

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction on the book."""
        with self.engine.begin() as conn:
            yield conn

    def signed(self, draft: Mapping[str, Any], role: str = "regulator") -> signing.Act:
        """Sign a drafted act with a role's key, and verify it as an import does."""
        with self.begin() as conn:
            return signing.verify(conn, signing.sign(draft, self.keys[role]))


def found(engine: Engine, *, rehearsal: bool = False, text: str | None = None) -> None:
    """Make a book with a policy (chengdu-2023 if no other text is given) and a tariff."""
    text = policy.builtin("chengdu-2023") if text is None else text
    rules = policy.load(text, "policy")
    rows = {
        "book": [
            {
                "book_id": hashlib.sha256(str(engine.url).encode()).hexdigest()[:32],
                "schema_version": schema.VERSION,
                "rehearsal": int(rehearsal),
                "policy": rules.name,
            }
        ],
        "document": [
            document("policy", rules.name, text),
            document("tariff", "cd-2024-1", TARIFF),
        ],
    }
    ledger.create(engine, Entry("book", "book.init", stamp(), rows))


def document(kind: str, version: str, text: str) -> dict[str, str]:
    """Return the row of a loaded document."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return {"kind": kind, "version": version, "sha256": sha256, "text": text}


def make_keys(folder: Path) -> dict[str, Mapping[str, str]]:
    """Make one key for each role that signs; return the private ones by role."""
    folder.mkdir(parents=True, exist_ok=True)
    for actor in SIGNERS:
        signing.make_key(folder / actor.role, actor.name, actor.role)
    return {actor.role: signing.read_json(folder / actor.role) for actor in SIGNERS}


def trust_keys(conn: Connection, keys: Mapping[str, Mapping[str, str]]) -> None:
    """Enter the public halves of the keys into the book."""
    for key in keys.values():
        public = {name: value for name, value in key.items() if name != "private"}
        signing.trust(conn, public, stamp())


def add_unit(conn: Connection, unit: str = UNIT, **changes: Any) -> None:
    """Register a unit: an enterprise with 20,000,000 yuan of revenue, unless told otherwise."""
    body = f"91510100MA{int(hashlib.sha256(unit.encode()).hexdigest(), 16) % 10**7:07d}"
    facts: dict[str, Any] = {
        "name": f"{unit} 有限公司",
        "credit_code": credit_code(body),
        "kind": "enterprise",
        "revenue_fen": money.fen("20,000,000"),
        "revenue_year": 2023,
        "stamp": stamp(),
    }
    registry.register_unit(conn, unit, **(facts | changes))


def add_contract(conn: Connection, contract: str = CONTRACT, **changes: Any) -> str:
    """Enter a contract over 100,000 yuan until the end of 2024; return its voucher account."""
    facts: dict[str, Any] = {
        "unit": UNIT,
        "provider": PROVIDER,
        "signed_on": date(2024, 6, 1),
        "last_day": date(2024, 12, 31),
        "fee_fen": money.fen("100,000"),
        "policy": POLICY,
        "stamp": stamp(),
    }
    return registry.sign_contract(conn, contract, **(facts | changes))


def keep_paper(root: Path, source: Path, kind: str) -> papers.Paper:
    """Keep a paper that the book takes."""
    paper = papers.describe(source, kind)
    papers.keep(root, source, paper)
    return paper


def add_application(conn: Connection, contract: str = CONTRACT, **changes: Any) -> str:
    """Apply for a voucher on a contract; return the application."""
    facts: dict[str, Any] = {
        "category": "general",
        "channel": "online",
        "paper_sha256": hashlib.sha256(contract.encode()).hexdigest(),
        "policy": POLICY,
        "stamp": stamp(),
    }
    return applying.apply(conn, contract, **(facts | changes))


def confirm(
    town: Town, application: str, *, at: str = NOW, rules: Policy | None = None
) -> str | None:
    """Let the regulator confirm an application; return the voucher."""
    rules = rules or town.policy
    with town.begin() as conn:
        draft = issuing.draft_review(conn, application, "confirm", "complete", rules, instant(at))
    act = town.signed(draft)
    with town.begin() as conn:
        return issuing.accept_review(conn, act, rules, stamp(at))


def pay(conn: Connection, amount: str, reference: str, account: str = ACCOUNT) -> None:
    """Pay cash in."""
    registry.pay_in(
        conn,
        account,
        amount_fen=money.fen(amount),
        reference=reference,
        paid_on=date(2024, 7, 1),
        stamp=stamp(),
    )


def raise_hold(conn: Connection, request: holds.Request, now_s: int) -> holds.Position:
    """Raise a hold as voucherd does when a job is changed: if the difference fits."""
    ledger.lock(conn)
    held = holds.find_live(conn, request.id)
    assert held is not None
    raised, more = held.raised(request)
    after = holds.position(conn, held.account, POLICY)
    if more.task_micro:
        after = holds.admit_request(conn, after, more, POLICY, now_s)
    holds.write_raised(conn, raised)
    return after


def absent(
    conn: Connection, present: set[str], snapshot_s: int, collected_s: int, cluster: str = CLUSTER
) -> list[str]:
    """Compare bound holds with a snapshot of the queue, as voucherd does; return what is void."""
    gone, there = releasing.absent(conn, cluster, present, snapshot_s)
    releasing.note_present(conn, there)
    return releasing.note_absent(conn, gone, snapshot_s, collected_s)


def lapse(
    conn: Connection, now_s: int, seen: set[str] | None = None, cluster: str = CLUSTER
) -> list[str]:
    """Let holds lapse that the queue never showed, as voucherd does; return them."""
    unseen = releasing.unseen(conn, cluster, seen or set(), now_s)
    return [hold for hold, _ in releasing.expire(conn, unseen, now_s)]


def people(town: Town) -> None:
    """Bring both providers, the keys, the unit and its member into an empty book."""
    with town.begin() as conn:
        registry.add_provider(conn, PROVIDER, "成都智算中心", stamp())
        registry.add_provider(conn, OTHER_PROVIDER, "国家超级计算成都中心", stamp())
        trust_keys(conn, town.keys)
        add_unit(conn)
        registry.add_member(
            conn, UNIT, cluster=CLUSTER, uid=UID, from_s=instant(NOW), until_s=None, stamp=stamp()
        )


def open_account(town: Town, *, cash: str = "50,000") -> None:
    """Sign the contract, issue its voucher over 50,000 yuan and pay cash in."""
    with town.begin() as conn:
        account = add_contract(conn)
        application = add_application(conn)
    voucher = confirm(town, application)
    assert (account, voucher) == (ACCOUNT, VOUCHER)
    with town.begin() as conn:
        pay(conn, cash, "BANK-1")


def by(engine: Engine, folder: Path, keys: Mapping[str, Mapping[str, str]], text: str) -> Town:
    """Make a town whose book was made by other rules, in an empty database."""
    found(engine, text=text)
    own = Town(engine, folder / "archive", keys, policy.load(text, "policy"))
    people(own)
    open_account(own)
    return own
