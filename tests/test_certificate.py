"""A certificate says what was issued to whoever has the book's public key, and grants nothing."""

import json

import pytest
import town as towns
from homes import Home, an_account, furnished, one_line
from sqlalchemy import select
from town import ACCOUNT, CONTRACT, NOW, POLICY, UNIT, VOUCHER, instant

from accounting.book import keys, ledger, schema, signing
from accounting.errors import InvalidInput, NotAllowed
from accounting.redeem import acts
from accounting.vouchers import certificate, clawback


def make(town, voucher=VOUCHER, role="system"):
    """Make a certificate."""
    with town.begin() as conn:
        return certificate.make(conn, voucher, town.keys[role], POLICY, instant(NOW))


def public(town, role="system"):
    """Return the public half of a key."""
    return {name: value for name, value in town.keys[role].items() if name != "private"}


def test_a_certificate_is_checked_without_the_book(town):
    """Whoever has the public key reads from it what was issued to whom, and the chain's head."""
    made = make(town)
    with town.begin() as conn:
        head = ledger.head(conn)
        code = conn.execute(select(schema.unit.c.credit_code)).scalar()
    found = certificate.check(json.loads(ledger.canonical(made)), public(town))
    assert (found["voucher"], found["account"], found["contract"]) == (VOUCHER, ACCOUNT, CONTRACT)
    assert (found["unit"]["id"], found["unit"]["credit_code"]) == (UNIT, code)
    assert (found["amount_fen"], found["first_day"], found["last_day"]) == (
        5_000_000,
        "2024-07-01",
        "2024-12-31",
    )
    assert (found["head"]["seq"], found["head"]["hash"]) == head
    assert found["rehearsal"] is False


def test_it_is_made_without_a_trace(town):
    """Making a certificate writes nothing: it is no act, and holding it grants nothing."""
    with town.begin() as conn:
        before = ledger.head(conn)
    assert make(town) == make(town)
    with town.begin() as conn:
        assert ledger.head(conn) == before
    with pytest.raises(InvalidInput, match="not a signed act"):
        acts.accept(town.engine, make(town), acts.Place(POLICY, town.archive, towns.stamp()))


def test_none_is_made_of_a_voucher_that_was_taken_back(town):
    """Who was found out gets no fresh paper that says 50,000.00."""
    with town.begin() as conn:
        draft = clawback.draft(conn, VOUCHER, "forged contract")
    act = town.signed(draft)
    with town.begin() as conn:
        clawback.accept(conn, act, POLICY, towns.stamp())
    with pytest.raises(NotAllowed, match=f"voucher {VOUCHER}: was taken back"):
        make(town)


@pytest.mark.parametrize(
    "change", [{"amount_fen": 5_000_001}, {"unit": {"id": "x"}}, {"more": 1}, {"rehearsal": True}]
)
def test_a_changed_certificate_is_refused(town, change):
    """Whatever is changed in it, the signature does not fit."""
    with pytest.raises(NotAllowed, match=f"certificate {VOUCHER}: the signature does not fit"):
        certificate.check(make(town) | change, public(town))


@pytest.mark.parametrize("change", [{"signature": None}, {"certificate": "x"}, {"signature": 7}])
def test_what_is_no_certificate_is_refused(town, change):
    """A file that is something else is refused in words."""
    with pytest.raises(InvalidInput, match="certificate: this is none"):
        certificate.check(make(town) | change, public(town))


def test_another_key_does_not_fit(town, tmp_path):
    """Neither another book's key, nor an office's, nor the claim to be signed with it."""
    other = signing.make_key(tmp_path / "k", "other-book", "system")
    with pytest.raises(NotAllowed, match=f"this is {other['key']}; take the key of the book"):
        certificate.check(make(town), other)
    with pytest.raises(NotAllowed, match="the signature does not fit"):
        certificate.check(make(town) | {"key": other["key"]}, other)
    with pytest.raises(InvalidInput, match="is the regulator's, a book's own is expected"):
        certificate.check(make(town), public(town, "regulator"))


def test_only_the_books_key_in_force_signs(town):
    """Neither an office's key nor a revoked one makes a certificate, and none of no voucher."""
    with pytest.raises(NotAllowed, match="not this book's system key in force"):
        make(town, role="regulator")
    with pytest.raises(InvalidInput, match="voucher X: not in the book"):
        make(town, voucher="X")
    with town.begin() as conn:
        draft = keys.draft_revoke(conn, town.keys["system"]["key"], "lost")
    act = town.signed(draft, "system")
    with town.begin() as conn:
        keys.accept_revoke(conn, act, towns.stamp())
    with pytest.raises(NotAllowed, match="not this book's system key in force"):
        make(town)


def test_by_command(tmp_path):
    """A rehearsal's certificate is stamped as such, and is checked where there is no book."""
    home = furnished(tmp_path / "home")
    account = an_account(home)
    at = ("--as-of", "2026-11-22")
    for role in ("regulator", "system"):
        home.ok("key", "make", str(home.path / role), "--actor", role, "--role", role)
        home.ok("key", "trust", str(home.path / f"{role}.pub"))
    home.ok("unit", "revenue", "shuzhi", "2025", "20,000,000")
    files = {name: str(home.path / name) for name in ("contract", "draft", "act", "certificate")}
    (home.path / "contract").write_text("signed")
    home.ok(*at, "apply", "HT-1", "--paper", files["contract"])
    home.ok(*at, "review", f"A-{account}", "--confirm", "-o", files["draft"])
    home.ok("act", "sign", files["draft"], "--key", str(home.path / "regulator"), "-o",
            files["act"])  # fmt: skip
    home.ok(*at, "act", "accept", files["act"])
    key = str(home.path / "system")
    made = ("voucher", "certificate", f"{account}-1", "--key", key, "-o", files["certificate"])
    home.ok(*at, *made)

    nowhere = Home(tmp_path / "nowhere")
    said = nowhere.ok("voucher", "verify", files["certificate"], "--key", f"{key}.pub")
    assert said.startswith("演练 REHEARSAL")
    assert f"voucher {account}-1: 100,000.00 yuan to 数智 (91510100MA6C4TX27W) with cdaicc" in said
    text = (home.path / "certificate").read_text()
    (home.path / "certificate").write_text(text.replace("10000000", "10000001"))
    done = nowhere.run("voucher", "verify", files["certificate"], "--key", f"{key}.pub")
    one_line(done, 1, "the signature does not fit")
