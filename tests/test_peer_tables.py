"""What others say must come out of holds, posts, voids, expiries, retries, chains and draws.

TigerBeetle's tables run on the book: a pending transfer is a hold (a time-out of 0 one that the
queue showed), a post a charge that ends it, a void its release, a plain transfer a charge without
a hold. Its first account is a voucher account with what is held (debits pending) and accrued
(debits posted), its second the provider with its revenue. OpenMeter's grants are vouchers that
bear the whole of a fee. What does not map onto the book is listed here with the reason.
"""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import groupby, pairwise, permutations
from pathlib import Path
from types import SimpleNamespace

import pytest
import town as towns
from hypothesis import given
from hypothesis import strategies as st
from test_holds import NOW_S
from test_ledger_rules import charge_entry
from town import ACCOUNT, CLUSTER, POLICY, PROVIDER, UID, stamp

from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting
from accounting.errors import NotAllowed
from accounting.settle import drawdown
from accounting.settle.drawdown import Voucher
from accounting.vouchers import holds, releasing
from accounting.vouchers.holds import Request

PEERS = Path(__file__).parent / "data" / "peers"
TIGERBEETLE = json.loads((PEERS / "tigerbeetle-state-machine.json").read_text("utf-8"))["tests"]
OPENMETER = json.loads((PEERS / "openmeter-burndown.json").read_text("utf-8"))
MONTH = "2024-07"
MICRO = 10_000
"""One unit of theirs is a fen of ours."""

OURS = {
    "created": "done",
    "exists": "done before",
    "exists_with_different_amount": "refused",
    "exists_with_different_pending_id": "refused",
    "pending_transfer_not_found": "ends nothing",
    "pending_transfer_not_pending": "ends nothing",
    "pending_transfer_already_posted": "ends nothing",
    "pending_transfer_already_voided": "ends nothing",
    "pending_transfer_expired": "ends nothing",
    "linked_event_failed": "undone",
    "ledger_must_not_be_zero": "undone",
}
"""What the book does where TigerBeetle has a status."""

_FORM = "a call of a function has no form that could say it"
_NAMES = "who ends a hold names the hold; account, provider and kind are the hold's own"
NOT_OURS = {
    "exists_with_different_flags": "ending a hold has no key of its own: evidence has, the run's",
    "exists_with_different_user_data_128": "an entry has no data that means nothing to it",
    "exists_with_different_user_data_64": "an entry has no data that means nothing to it",
    "exists_with_different_user_data_32": "an entry has no data that means nothing to it",
    "id_already_failed": "what was refused left nothing: it may be tried again",
    "timestamp_must_be_zero": _FORM,
    "id_must_not_be_zero": _FORM,
    "id_must_not_be_int_max": _FORM,
    "flags_are_mutually_exclusive": _FORM,
    "pending_id_must_not_be_zero": _FORM,
    "pending_id_must_not_be_int_max": _FORM,
    "pending_id_must_be_different": _FORM,
    "timeout_reserved_for_pending_transfer": _FORM,
    "pending_transfer_has_different_debit_account_id": _NAMES,
    "pending_transfer_has_different_credit_account_id": _NAMES,
    "pending_transfer_has_different_ledger": _NAMES,
    "pending_transfer_has_different_code": _NAMES,
    "pending_transfer_has_different_amount": "what never ran is released whole",
    "exceeds_pending_transfer_amount": "decided otherwise (3c): a charge is a fact and is posted"
    " also above its hold",
}
"""Statuses that have no like here, each with the reason."""
NO_ACCOUNT = "accounts are those of the chart; none is made"
NO_PRIORITY = "vouchers have no priority: earliest expiry first, then by id"


class Peer:
    """A book that is told TigerBeetle's events."""

    def __init__(self, town):
        self.town = town
        self.now_s = NOW_S

    def act(self, conn, event):
        """Do what an event says; return what came of it."""
        if event.get("pending"):
            return self.hold(conn, event)
        if event.get("void"):
            gone = self.end(conn, event, "voided")
            return "done" if gone else "ends nothing"
        return self.charge(conn, event)

    def hold(self, conn, event):
        """Take a hold; one without a time-out is shown by the queue at once."""
        micro, name = int(event["amount"]) * MICRO, event["id"]
        until = SimpleNamespace(unseen_s=int(event["timeout"]))
        asked = Request(name, CLUSTER, ACCOUNT, UID, 1, micro, 0, {})
        known = bool(holds.ids(conn, [name]))
        if not known:
            holds.enter(conn, [asked], until, self.now_s)
            if event["timeout"] == "0":
                job_id = int(name.strip("T"))
                releasing.bind(conn, name, CLUSTER, job_id, self.now_s, self.now_s)
        return "done before" if known else "done"

    def end(self, conn, event, kind):
        """End the hold that an event names."""
        hold = event["pending_id"]
        return releasing.end(conn, hold, event["id"], kind, 1, self.now_s, "by the table")

    def charge(self, conn, event):
        """Post a charge; one of a hold ends that, and needs it to be live."""
        entry = self.entry(conn, event)
        known = ledger.written(conn, entry.key)
        of_hold = event.get("post") is not None
        if known is None and of_hold and not self.end(conn, event, "posted"):
            return "ends nothing"
        try:
            ledger.write(conn, entry)
        except NotAllowed:
            return "refused"
        return "done" if known is None else "done before"

    def entry(self, conn, event):
        """Make the entry of a charge; it names the hold by the segment that it is in."""
        said = event.get("amount") or "0"
        amount = self.held(conn, event["pending_id"]) if said == "-0" else int(said) * MICRO
        made = charge_entry(f"{event['id']}-{event.get('pending_id')}", MONTH, amount, 0)
        if event["ledger"] == "L0" and not event.get("post"):
            made = replace(made, postings=[Posting("L0", ACCOUNT, 1), Posting("L0", "x", -1)])
        return replace(made, key=f"usage:{event['id']}")

    def held(self, conn, name):
        """Return what one task of a hold holds."""
        return conn.execute(schema.hold.select().filter_by(id=name)).one().task_micro

    def chain(self, events):
        """Do linked events: all of them or none."""
        try:
            with self.town.begin() as conn:
                for event in events:
                    self.act(conn, event)
        except ValueError:
            return "undone"
        return "done"

    def tick(self, seconds):
        """Let time pass: what the queue never showed lapses."""
        self.now_s += seconds
        with self.town.begin() as conn:
            towns.lapse(conn, self.now_s)

    def looked_up(self, event):
        """Return what the book says where a table looks, in the table's form."""
        name, *_ = event["args"]
        with self.town.begin() as conn:
            if event["op"] == "lookup_account":
                held = holds.position(conn, ACCOUNT, POLICY).held_micro
                accrued = ledger.balance(conn, "accrued", ACCOUNT)
                revenue = -ledger.balance(conn, "revenue", PROVIDER)
                sums = (held, accrued, 0, 0) if name == "A1" else (0, 0, held, revenue)
                return [name, *(str(micro // MICRO) for micro in sums), "_"]
            seq = ledger.written(conn, f"usage:{name}")
            if event["args"][1] == "exists":
                there = seq is not None or bool(holds.ids(conn, [name]))
                return [name, "exists", str(there).lower()]
            lines = conn.execute(schema.posting.select().filter_by(seq=seq, account="accrued"))
            return [name, "amount", str(sum(line.amount_micro for line in lines) // MICRO)]


def said(event):
    """Return an event without what it leaves open."""
    return {name: value for name, value in event.items() if value not in ("_", None)}


def chains(events):
    """Group the events of a batch: linked ones with the one after them."""
    number = 0
    for event in events:
        yield number, event
        number += not event.get("linked")


def play(peer, events):
    """Tell a peer a table; return how many events were done and looked up, or not, and why."""
    counts = Counter()
    for _, linked in groupby(chains(map(said, events)), lambda each: each[0]):
        own = [event for _, event in linked]
        first = own[0]
        where = f"{first}"
        if first["op"] == "transfer":
            status = first["status"]
            if status in NOT_OURS:
                counts[NOT_OURS[status]] += 1
                continue
            if len(own) > 1:
                found = peer.chain(own)
            else:
                with peer.town.begin() as conn:
                    found = peer.act(conn, first)
            assert {OURS[event["status"]] for event in own} == {found}, where
            counts["mapped"] += len(own)
        elif first["op"].startswith("lookup"):
            assert peer.looked_up(first) == first["args"], where
            counts["mapped"] += 1
        elif first["op"] == "tick":
            peer.tick(int(first["args"][0]))
        elif first["op"] == "account":
            counts[NO_ACCOUNT] += 1
        else:
            assert first["op"] == "commit"
    return counts


@pytest.mark.parametrize(
    ("name", "mapped", "not_ours"),
    [
        ("create/lookup 2-phase transfers", 44, 33),
        ("create/lookup expired transfers", 22, 2),
        ("create_transfers: failed linked-chains are undone", 10, 2),
    ],
)
def test_tigerbeetles_tables(town, name, mapped, not_ours) -> None:
    """Every event that maps onto the book comes out as its table says, each look-up too."""
    counts = play(Peer(town), TIGERBEETLE[name])

    assert counts.pop("mapped") == mapped
    assert counts.total() == not_ours


def test_every_status_is_listed() -> None:
    """No status of the tables is passed over in silence, and none is listed that none has."""
    events = [event for table in TIGERBEETLE.values() for event in table]
    statuses = {event["status"] for event in events if event["op"] == "transfer"}

    assert statuses == OURS.keys() | NOT_OURS.keys()
    assert OURS.keys() & NOT_OURS.keys() == set()


def test_what_is_decided_otherwise(town) -> None:
    """A charge above its hold is posted: TigerBeetle refuses it (decision 3c)."""
    peer = Peer(town)
    with town.begin() as conn:
        pending = {"id": "T5", "amount": "7", "timeout": "50", "pending": "PEN", "ledger": "L1"}
        peer.act(conn, pending)
        post = {"id": "T105", "amount": "8", "pending_id": "T5", "post": "POS", "ledger": "L1"}
        assert peer.act(conn, post) == "done"
        assert holds.position(conn, ACCOUNT, POLICY).held_micro == 0
        assert ledger.balance(conn, "accrued", ACCOUNT) == 8 * MICRO


# --- OpenMeter -------------------------------------------------------------------------------


def instant(at):
    """Read an instant."""
    return int(datetime.fromisoformat(at).timestamp())


def burn(grants, balances, usage):
    """Draw usage [(amount, instant)] from grants; return what is left of each, and the overage."""
    vouchers = drawdown.in_order(grants)
    left = {grant.id: balances[grant.id] for grant in grants}
    cuts = drawdown.edges(vouchers)
    runs = []
    for amount, at_s in sorted(usage, key=lambda each: each[1]):
        parts = [0] * (len(cuts) + 1)
        parts[sum(cut <= at_s for cut in cuts)] = amount * MICRO
        runs.append((at_s, parts))
    drawn = drawdown.month(vouchers, left, runs).drawn_fen
    return left, sum(amount for amount, _ in usage) - sum(drawn.values())


def as_voucher(grant):
    """Return a grant as a voucher that bears the whole of a fee; a voided one ends then."""
    until = grant.get("voided", grant["expires"])
    return Voucher(
        grant["id"], instant(grant["effective"]), instant(until), grant["amount"], 10_000
    )


def test_openmeters_cases() -> None:
    """Left and overage are OpenMeter's, in whatever order grants are given; of five cases the one
    about priorities does not map."""
    counts = Counter()
    for case in OPENMETER["cases"]:
        if len({grant["priority"] for grant in case["grants"]}) > 1:
            counts[NO_PRIORITY] += 1
            continue
        vouchers = [as_voucher(grant) for grant in case["grants"]]
        usage = [(amount, instant(at)) for amount, at in case["usage"]]
        forfeit = {v.id for v in vouchers if v.until_s < instant(case["until"])}
        for given_ in permutations(vouchers):
            for _ in range(10):
                left, overage = burn(given_, case["start"]["balances"], usage)
                left |= dict.fromkeys(forfeit, 0)
                assert left == case["expect"]["balances"], case["name"]
                assert overage == case["expect"].get("overage", 0), case["name"]
        counts["mapped"] += 1

    assert counts == {"mapped": 4, NO_PRIORITY: 1}


@st.composite
def burndowns(draw):
    """Grants, usage and instants at which to stop and go on."""
    grants = []
    for i in range(draw(st.integers(0, 6))):
        from_s = draw(st.integers(0, 50))
        until_s = draw(st.integers(from_s + 1, 100))
        grants.append(Voucher(f"g{i}", from_s, until_s, draw(st.integers(0, 200)), 10_000))
    used = st.tuples(st.integers(0, 100), st.integers(0, 99))
    usage = draw(st.lists(used, max_size=40))
    return grants, usage, sorted(draw(st.sets(st.integers(1, 99), max_size=20)))


@given(burndowns())
def test_openmeters_properties(made_up) -> None:
    """Burning down in one go is burning down piece by piece, for any cuts, and the order in which
    grants are given never matters."""
    grants, usage, cuts = made_up
    begun = {grant.id: grant.left_fen for grant in grants}
    whole = burn(grants, begun, usage)
    assert burn(list(reversed(grants)), begun, usage) == whole
    left, overage = begun, 0
    for from_s, until_s in pairwise([0, *cuts, 100]):
        piece = [each for each in usage if from_s <= each[1] < until_s]
        left, more = burn(grants, left, piece)
        overage += more
    assert (left, overage) == whole


def test_a_chain_of_entries_is_undone(town) -> None:
    """A group of entries of which one is refused leaves nothing, as a linked chain does."""
    good = Entry("T1", "test", stamp(), {}, [Posting("bank", "x", 1), Posting("bank", "y", -1)])
    bad = replace(good, key="T2", postings=[Posting("L0", "x", 1), Posting("L0", "y", -1)])
    with pytest.raises(ValueError, match="T2"), town.begin() as conn:
        ledger.write_all(conn, [good, bad])
    with town.begin() as conn:
        assert ledger.written(conn, "T1") is None
