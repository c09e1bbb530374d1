"""What regulator and treasury decide is worth nothing but for what they signed."""

import json
import stat

import pytest
import town as towns
from sqlalchemy import select
from town import ACCOUNT, NOW, OPERATOR, POLICY, instant, stamp

from accounting.book import ledger, schema, signing
from accounting.errors import InvalidInput, NotAllowed
from accounting.vouchers import issuing

APPLICATION = f"A-{ACCOUNT}"


@pytest.fixture
def applied(people):
    """A town with an application that waits for the regulator."""
    with people.begin() as conn:
        towns.add_contract(conn)
        towns.add_application(conn)
    return people


def draft(town, verdict="confirm"):
    """Draft the regulator's review of the application."""
    with town.begin() as conn:
        return issuing.draft_review(conn, APPLICATION, verdict, "complete", POLICY, instant(NOW))


def accept(town, act):
    """Carry out a review."""
    with town.begin() as conn:
        return issuing.accept_review(conn, act, POLICY, stamp())


def verify(town, signed):
    """Verify a signed file."""
    with town.begin() as conn:
        return signing.verify(conn, signed)


def test_a_signed_act_says_who_decided_what(applied):
    """A signed draft verifies to its verb, subject, body and the actor whose key it is."""
    act = applied.signed(draft(applied))

    assert (act.verb, act.subject) == ("application.confirm", APPLICATION)
    assert act.body == {"reason": "complete", "voucher_fen": 5_000_000}
    assert act.actor == towns.REGULATOR


def test_a_changed_draft_is_refused(applied):
    """A figure that was changed after signing makes the signature worthless."""
    signed = signing.sign(draft(applied), applied.keys["regulator"])
    signed["body"]["voucher_fen"] += 1
    with pytest.raises(NotAllowed, match="signature does not fit; sign the unchanged draft"):
        verify(applied, signed)


@pytest.mark.parametrize(
    "field", ["act", "book", "subject", "subject_hash", "body", "signature", "key"]
)
def test_an_act_without_a_field_is_refused(applied, field):
    """An act that lacks any of its fields is no signed act."""
    signed = signing.sign(draft(applied), applied.keys["regulator"])
    del signed[field]
    with pytest.raises(InvalidInput, match="not a signed act; sign it with svoucher act sign"):
        verify(applied, signed)


@pytest.mark.parametrize(
    ("field", "value"),
    [("subject", "A-CD24-0002"), ("subject_hash", "0" * 64), ("actor", "x"), ("role", "treasury"),
     ("signature", "00"), ("signature", "no hex"), ("extra", 1)],
)  # fmt: skip
def test_the_signature_covers_every_field(applied, field, value):
    """Whatever is changed in a signed act, it is refused."""
    signed = signing.sign(draft(applied), applied.keys["regulator"]) | {field: value}
    with pytest.raises(NotAllowed, match="signature does not fit"):
        verify(applied, signed)


def test_a_wrong_role_is_refused(applied):
    """The treasury does not confirm applications, neither by tool nor by hand."""
    treasury = applied.keys["treasury"]
    with pytest.raises(
        NotAllowed, match="the treasury does not sign this; give it to the regulator"
    ):
        signing.sign(draft(applied), treasury)

    forged = signing.sign(draft(applied), treasury | {"role": "regulator"})
    with pytest.raises(NotAllowed, match="finance holds the key of the treasury, who may not do"):
        verify(applied, forged)


def test_another_signer_cannot_be_named(applied):
    """An act that names another actor than its key's is refused."""
    forged = signing.sign(draft(applied), applied.keys["regulator"] | {"actor": "mayor"})
    with pytest.raises(NotAllowed, match="names 'mayor', the key is eic-review's"):
        verify(applied, forged)


def test_an_act_nobody_may_sign_is_refused(applied):
    """An act of an unknown kind is refused when it is signed."""
    with pytest.raises(NotAllowed, match=r"act 'book\.erase': the regulator does not sign this"):
        signing.sign({"act": "book.erase"}, applied.keys["regulator"])


def test_an_act_for_another_book_is_refused(applied):
    """An act that was drafted in another book is refused, though key and role are right."""
    signed = signing.sign(draft(applied) | {"book": "f" * 32}, applied.keys["regulator"])
    with pytest.raises(InvalidInput, match="made for book ffffffff, not for this one"):
        verify(applied, signed)


def test_an_unknown_key_is_refused(applied, tmp_path):
    """A key that is not in the book decides nothing, whatever role it claims."""
    signing.make_key(tmp_path / "k", "eic-review", "regulator")
    signed = signing.sign(draft(applied), signing.read_json(tmp_path / "k"))
    with pytest.raises(NotAllowed, match="is not trusted in this book"):
        verify(applied, signed)


def test_a_replayed_act_is_the_same_act(applied):
    """The same act imported twice issues one voucher; a second decision is refused."""
    act = applied.signed(draft(applied))
    assert accept(applied, act) == accept(applied, act) == f"{ACCOUNT}-1"

    second = applied.signed(draft(applied, "refuse"))
    with pytest.raises(NotAllowed, match=f"application {APPLICATION}: was confirmed already"):
        accept(applied, second)


def test_an_act_for_other_content_is_refused(applied):
    """An act that was signed for another entry's hash does nothing, even with a good signature."""
    act = applied.signed(draft(applied) | {"subject_hash": "0" * 64})
    with pytest.raises(
        NotAllowed, match="signed for other content than the book's; draft it again"
    ):
        accept(applied, act)


def test_an_act_of_another_kind_is_refused(applied):
    """A signed review of claims does not decide an application."""
    act = applied.signed(draft(applied) | {"act": "claim.review"})
    with pytest.raises(
        InvalidInput, match=r"act claim\.review A-CD24-0001: decides no application"
    ):
        accept(applied, act)


def test_who_submits_does_not_decide(people):
    """Four eyes: an application that the regulator's signer entered is not decided by them."""
    with people.begin() as conn:
        towns.add_contract(conn)
        towns.add_application(conn, stamp=stamp(actor=towns.REGULATOR))
    act = people.signed(draft(people))
    with pytest.raises(NotAllowed, match="eic-review submitted it; somebody else decides"):
        accept(people, act)


def test_the_act_is_kept_and_signed_for(applied):
    """The book keeps the signed text, and the entry stands in the regulator's name."""
    act = applied.signed(draft(applied))
    accept(applied, act)
    with applied.begin() as conn:
        kept = conn.execute(select(schema.signed_act)).one()
        entry = conn.execute(select(schema.journal).filter_by(seq=kept.seq)).one()
        assert signing.verify(conn, json.loads(kept.text)) == act
    assert (entry.actor, entry.role) == ("eic-review", "regulator")


# --- keys ----------------------------------------------------------------------------------


def test_a_private_key_is_its_owners(tmp_path):
    """The private file is readable by its owner alone; the public one has no private half."""
    path = tmp_path / "key"
    public = signing.make_key(path, "eic", "regulator")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing.read_json(tmp_path / "key.pub") == public
    assert set(signing.read_json(path)) - set(public) == {"private"}


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_keys_are_never_overwritten(tmp_path, there):
    """Where either half stands already, no key is made and nothing changes."""
    (tmp_path / there).write_text("old")
    with pytest.raises(InvalidInput, match=r"key: File exists|key\.pub: File exists"):
        signing.make_key(tmp_path / "key", "eic", "regulator")
    assert (tmp_path / there).read_text() == "old"


def test_a_key_needs_a_folder(tmp_path):
    """A key in a folder that is not there is refused by its path."""
    with pytest.raises(InvalidInput, match="No such file or directory; choose another name"):
        signing.make_key(tmp_path / "none" / "key", "eic", "regulator")


def public_of(folder, actor, role):
    """Make a key; return its public half."""
    return signing.make_key(folder / f"{actor}-{role}", actor, role)


@pytest.mark.parametrize(
    ("actor", "role"),
    [("rival", "regulator"), ("eic-review", "treasury"), ("finance", "system")],
)
def test_a_role_has_one_key_and_an_actor_one_role(people, tmp_path, actor, role):
    """Neither a second key of a role nor a second role of an actor is trusted."""
    with pytest.raises(NotAllowed, match="one actor has one role"), people.begin() as conn:
        signing.trust(conn, public_of(tmp_path, actor, role), stamp())


def test_a_known_key_does_not_change_its_role(people):
    """Trusting a known key again is nothing; trusting it in another role is refused."""
    key = dict(people.keys["regulator"])
    with people.begin() as conn:
        before = ledger.head(conn)
        signing.trust(conn, key, stamp())
        assert ledger.head(conn) == before
    with pytest.raises(NotAllowed, match="one actor has one role"), people.begin() as conn:
        signing.trust(conn, key | {"role": "treasury"}, stamp())


@pytest.mark.parametrize("role", ["operator", "unit", "auditor", None, ["regulator"]])
def test_only_three_roles_have_keys(empty, tmp_path, role):
    """A key of a role that signs nothing is refused."""
    public = public_of(tmp_path, "x", "regulator") | {"role": role}
    with (
        pytest.raises(InvalidInput, match="signs nothing; use regulator, treasury, system"),
        empty.begin() as conn,
    ):
        signing.trust(conn, public, stamp())


@pytest.mark.parametrize(
    "change", [{"public": "zz"}, {"public": "00"}, {"public": 7}, {"public": None}]
)
def test_what_is_no_public_key_is_refused(empty, change):
    """A file without a public key in it is refused."""
    key = {"actor": "x", "role": "regulator"} | change
    with (
        pytest.raises(InvalidInput, match=r"this is no public key; give the \.pub file"),
        empty.begin() as conn,
    ):
        signing.trust(conn, key, stamp())


def test_what_is_no_private_key_signs_nothing(applied):
    """A public half cannot sign."""
    public = {name: value for name, value in applied.keys["regulator"].items() if name != "private"}
    with pytest.raises(InvalidInput, match="this is no private key"):
        signing.sign(draft(applied), public)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"[]", "a JSON object is expected"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a": 1, "b": {"fen": 1, "fen": 2}}', "'fen' stands there twice"),
        (b" " * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_files_that_are_no_acts_are_refused(tmp_path, content, message):
    """A file that is too large or no JSON object is refused by its path."""
    path = tmp_path / "act.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        signing.read_json(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there is refused by its path."""
    with pytest.raises(
        InvalidInput, match=r"none\.json: No such file or directory; check the path"
    ):
        signing.read_json(tmp_path / "none.json")


# --- signed heads --------------------------------------------------------------------------


def test_a_days_head_is_signed_once(people):
    """The head of a day names place and hash; signed again, the first stands."""
    with people.begin() as conn:
        head = ledger.head(conn)
        signing.anchor(conn, people.keys["system"], "2024-07-01", stamp())
        signing.anchor(conn, people.keys["system"], "2024-07-01", stamp())
        kept = conn.execute(select(schema.anchor)).mappings().all()

    assert [(row["head_seq"], row["head_hash"]) for row in kept] == [head]
    signed = {name: kept[0][name] for name in ("day", "head_seq", "head_hash", "key_id")}
    assert signing.genuine(people.keys["system"]["public"], kept[0]["signature"], signed)
    assert not signing.genuine(
        people.keys["system"]["public"], kept[0]["signature"], signed | {"day": "x"}
    )


def test_heads_need_the_books_own_key(people):
    """Neither another role's key nor a broken one signs a head."""
    halves = people.keys["system"] | {"private": people.keys["regulator"]["private"]}
    for key, error, message in (
        (people.keys["regulator"], NotAllowed, "not this book's system key in force"),
        ({}, NotAllowed, "not this book's system key in force"),
        (halves, NotAllowed, "its two halves do not fit"),
        ({"key": people.keys["system"]["key"]}, InvalidInput, "this is no private key"),
    ):
        with pytest.raises(error, match=message), people.begin() as conn:
            signing.anchor(conn, key, "2024-07-01", stamp(actor=OPERATOR))
