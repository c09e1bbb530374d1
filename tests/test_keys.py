"""Keys follow each other by signatures alone, and what they signed in their time stands."""

import json

import pytest
import town as towns
from sqlalchemy import select
from town import ACCOUNT, NOW, POLICY, instant, stamp

from accounting.book import keys, ledger, schema, signing
from accounting.errors import InvalidInput, NotAllowed
from accounting.proof import audit
from accounting.redeem import acts
from accounting.vouchers import issuing

APPLICATION = f"A-{ACCOUNT}"


@pytest.fixture
def applied(people):
    """A town with an application that waits for the regulator."""
    with people.begin() as conn:
        towns.add_contract(conn)
        towns.add_application(conn)
    return people


@pytest.fixture
def other(tmp_path):
    """Another key of the regulator: its file, private half included."""
    signing.make_key(tmp_path / "second", "eic-second", "regulator")
    return signing.read_json(tmp_path / "second")


def key_of(town, role="regulator"):
    """Return the id of a role's first key."""
    return town.keys[role]["key"]


def accept(town, draft, key):
    """Sign a draft and bring it in."""
    signed = draft if "signature" in draft else signing.sign(draft, key)
    return acts.accept(town.engine, signed, acts.Place(POLICY, town.archive, stamp()))


def replacement(town, new, old=None):
    """Draft that a key takes the place of the regulator's."""
    with town.begin() as conn:
        return keys.draft_replace(conn, old or key_of(town), new)


def revocation(town, role="regulator"):
    """Draft that a role's first key is revoked."""
    with town.begin() as conn:
        return keys.draft_revoke(conn, key_of(town, role), "laptop stolen")


def review(town, verdict="confirm"):
    """Draft the regulator's review."""
    with town.begin() as conn:
        return issuing.draft_review(conn, APPLICATION, verdict, "complete", POLICY, instant(NOW))


def findings(town):
    """Audit the book."""
    with town.begin() as conn:
        return audit.findings(audit.Books(conn, town.archive, POLICY))


def test_a_key_names_its_successor(applied, other):
    """The new key decides from then on, the old one no more, and twice is once."""
    signed = signing.sign(replacement(applied, other), applied.keys["regulator"])
    for _ in range(2):
        assert accept(applied, signed, None)[1] == f"key {other['key']} takes its place"

    with pytest.raises(NotAllowed, match=f"key {key_of(applied)} of eic-review was replaced by en"):
        accept(applied, review(applied), applied.keys["regulator"])
    assert accept(applied, review(applied), other)[1] == f"voucher {ACCOUNT}-1 issued"
    with applied.begin() as conn:
        states = {row["key_id"]: row["kind"] for row in keys.listed(conn)}
    assert (states[key_of(applied)], states[other["key"]]) == ("replaced", None)
    assert findings(applied) == []


def test_what_a_key_decided_in_its_time_stands(applied):
    """An act that came in before the revocation is the same act afterwards; another is refused."""
    confirmed = signing.sign(review(applied), applied.keys["regulator"])
    late = signing.sign(review(applied, "refuse"), applied.keys["regulator"])
    accept(applied, confirmed, None)
    accept(applied, revocation(applied), applied.keys["regulator"])

    assert accept(applied, confirmed, None)[1] == f"voucher {ACCOUNT}-1 issued"
    with pytest.raises(NotAllowed, match=f"{key_of(applied)} of eic-review was revoked by entry"):
        accept(applied, late, None)
    assert findings(applied) == []


@pytest.mark.parametrize(
    ("role", "by"),
    [("regulator", "treasury"), ("treasury", "regulator"), ("system", "regulator"),
     ("regulator", "regulator")],
)  # fmt: skip
def test_a_key_is_revoked_by_itself_or_the_other_office(people, role, by):
    """Each office can stop the other's key, and the regulator the book's."""
    signed = signing.sign(revocation(people, role), people.keys[by])
    for _ in range(2):
        assert accept(people, signed, None)[1] == "revoked"
    with people.begin() as conn:
        assert signing.key_end(conn, key_of(people, role)).kind == "revoked"


@pytest.mark.parametrize(("role", "by"), [("regulator", "system"), ("treasury", "system")])
def test_the_book_ends_no_office(people, role, by):
    """The provider's own key revokes neither office's."""
    with pytest.raises(NotAllowed, match="it takes the key itself or the"):
        accept(people, revocation(people, role), people.keys[by])
    assert findings(people) == []


def test_the_other_office_names_the_next_key_of_a_revoked_one(people, other):
    """While a key is in force nobody else replaces it; when it is revoked the treasury does."""
    draft = replacement(people, other)
    with pytest.raises(NotAllowed, match=r"the treasury; revoke it first"):
        accept(people, draft, people.keys["treasury"])
    accept(people, revocation(people), people.keys["treasury"])
    with pytest.raises(NotAllowed, match="was revoked by entry"):
        accept(people, draft, people.keys["regulator"])
    with pytest.raises(NotAllowed, match="signed by book-head"):
        accept(people, draft, people.keys["system"])
    assert accept(people, draft, people.keys["treasury"])[1].startswith(f"key {other['key']}")
    assert findings(people) == []


def test_a_key_ends_once(people, other):
    """A key that was replaced is neither replaced nor revoked once more."""
    accept(people, replacement(people, other), people.keys["regulator"])
    with pytest.raises(NotAllowed, match=r"was replaced by entry \d+; it ends once"):
        accept(people, revocation(people), people.keys["treasury"])


@pytest.mark.parametrize(
    ("actor", "role", "message"),
    [
        ("new", "treasury", "is made for the treasury"),
        ("finance", "regulator", "finance already holds the key of the treasury"),
    ],
)
def test_a_successor_has_the_role_and_no_other(people, tmp_path, actor, role, message):
    """A key of another role, or of somebody in another role, follows nobody."""
    public = signing.make_key(tmp_path / "k", actor, role)
    with pytest.raises(NotAllowed, match=message):
        replacement(people, public)


def test_only_the_key_in_force_is_replaced(people, other, tmp_path):
    """The key before the last is replaced no more, and no key follows itself."""
    with pytest.raises(NotAllowed, match="is in the book already"):
        replacement(people, people.keys["regulator"])
    accept(people, replacement(people, other), people.keys["regulator"])
    third = signing.make_key(tmp_path / "third", "eic-third", "regulator")
    with pytest.raises(NotAllowed, match=f"{other['key']} of eic-second is the regulator's in for"):
        replacement(people, third)
    with pytest.raises(InvalidInput, match="key 00: not in the book; see svoucher key list"):
        replacement(people, third, old="00")


def test_the_operator_trusts_no_key_in_place_of_a_revoked_one(people, other):
    """After a revocation the role still has no other key than one that was signed for."""
    accept(people, revocation(people), people.keys["regulator"])
    with pytest.raises(NotAllowed, match="not replaced by the operator"), people.begin() as conn:
        signing.trust(conn, other, stamp())


def test_a_revoked_key_signs_no_head(people):
    """Heads of the chain need the book's key in force."""
    accept(people, revocation(people, "system"), people.keys["system"])
    with pytest.raises(NotAllowed, match="system key in force"), people.begin() as conn:
        signing.anchor(conn, people.keys["system"], "2024-07-01", stamp())


# --- refusals --------------------------------------------------------------------------------


def refused(town):
    """Return verb, subject and code of the refusals that the book keeps."""
    with town.begin() as conn:
        return [(row["verb"], row["subject"], row["code"]) for row in acts.refusals(conn)]


def test_a_refused_act_is_kept_and_nothing_else_of_it(applied):
    """The book keeps who brought what and why it was refused, once; the act wrote nothing."""
    forged = signing.sign(review(applied), applied.keys["regulator"])
    forged["body"]["voucher_fen"] += 1
    with applied.begin() as conn:
        before, _ = ledger.head(conn)
    for _ in range(2):
        with pytest.raises(NotAllowed, match="signature does not fit"):
            accept(applied, forged, None)

    assert refused(applied) == [("application.confirm", APPLICATION, "not_allowed")]
    with applied.begin() as conn:
        assert ledger.head(conn)[0] == before + 1
        assert conn.execute(select(schema.signed_act)).all() == []
        [row] = acts.refusals(conn)
    assert (row["actor"], row["message"]) == (
        "operations",
        f"act application.confirm {APPLICATION}: the signature does not fit; sign the unchanged "
        "draft",
    )


def test_one_act_is_refused_for_each_reason(applied):
    """An act that is refused again for another reason is kept with both."""
    late = signing.sign(review(applied), applied.keys["regulator"])
    accept(applied, review(applied, "refuse"), applied.keys["regulator"])
    with pytest.raises(NotAllowed, match="was refused already"):
        accept(applied, late, None)
    accept(applied, revocation(applied), applied.keys["treasury"])
    with pytest.raises(NotAllowed, match="was revoked by entry"):
        accept(applied, late, None)
    assert len(refused(applied)) == 2
    assert findings(applied) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"act": ["x"], "subject": {"a": 1}}',
        '{"act": "\\ud800", "subject": "\\u0000"}',
        '{"act": "' + "x" * 500 + '", "subject": 1e999}',
    ],
)
def test_whatever_a_file_says_its_refusal_is_kept(people, text):
    """Words that no database takes are kept written out, and cut."""
    with pytest.raises(InvalidInput, match="not a signed act"):
        accept(people, json.loads(text) | {"signature": 1}, None)
    [(verb, subject, code)] = refused(people)
    assert code == "invalid_input"
    assert (verb + subject).isprintable()
    assert len(verb) <= 200
    assert findings(people) == []


def test_every_act_has_who_signs_it_and_what_carries_it_out():
    """The verbs that may be signed are those that are carried out."""
    assert set(acts.VERBS) == set(signing.ACTS)
