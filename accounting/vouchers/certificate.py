"""The certificate of a voucher (凭证): a signed text that a unit hands to its provider.

It says what was issued, and whoever has the book's public key can check that, without the book.
Holding it grants nothing: what is left, and whether the voucher still stands, the book alone knows.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, signing
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers import holds
from accounting.vouchers.registry import find

KIND = "voucher"


def make(
    conn: Connection, voucher_id: str, key: Mapping[str, Any], policy: Policy, effective_s: int
) -> dict[str, Any]:
    """Return the certificate of a voucher, signed with the book's own key.

    Raises:
        InvalidInput: The voucher is unknown.
        NotAllowed: This is not the book's key in force, or the voucher was taken back.
    """
    voucher = find(conn, "voucher", id=voucher_id)
    if voucher.id in holds.taken_back(conn):
        raise NotAllowed(
            f"voucher {voucher.id}: was taken back, 0.00 yuan of it can be used; a certificate is "
            "made of one that is in force"
        )
    contract = find(conn, "contract", account=voucher.account)
    unit = find(conn, "unit", id=contract.unit)
    book, (seq, head_hash) = ledger.identity(conn), ledger.head(conn)
    content = {
        "certificate": KIND,
        "voucher": voucher.id,
        "account": voucher.account,
        "contract": contract.id,
        "unit": {"id": unit.id, "name": unit.name, "credit_code": unit.credit_code},
        "provider": contract.provider,
        "category": voucher.category,
        "amount_fen": voucher.amount_fen,
        "first_day": period.day_of(voucher.from_s, policy.timezone).isoformat(),
        "last_day": period.day_of(voucher.until_s - 1, policy.timezone).isoformat(),
        "policy": policy.name,
        "book": book.book_id,
        "rehearsal": book.rehearsal,
        "head": {"seq": seq, "hash": head_hash},
        "made_on": period.day_of(effective_s, policy.timezone).isoformat(),
        "key": signing.system_key(conn, key).key_id,
    }
    return content | {"signature": signing.signature(key, content)}


def check(certificate: Mapping[str, Any], public: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check a certificate against a public key, without the book; return what it says.

    Raises:
        InvalidInput: This is no certificate, or no public key of a book.
        NotAllowed: It was signed with another key, or changed since.
    """
    signature = certificate.get("signature")
    if certificate.get("certificate") != KIND or not isinstance(signature, str):
        raise InvalidInput("certificate: this is none; take one of svoucher voucher certificate")
    known = signing.key_row(public)
    if known["role"] != "system":
        raise InvalidInput(
            f"key {known['key_id']}: is the {known['role']}'s, a book's own is expected; ask the "
            "provider for it"
        )
    subject = f"certificate {certificate.get('voucher')}"
    if certificate.get("key") != known["key_id"]:
        raise NotAllowed(
            f"{subject}: signed with key {str(certificate.get('key'))[:16]}, this is "
            f"{known['key_id']}; take the key of the book that it is of"
        )
    content = {name: value for name, value in certificate.items() if name != "signature"}
    if not signing.genuine(known["public_hex"], signature, content):
        raise NotAllowed(f"{subject}: the signature does not fit; ask for another one")
    return content
