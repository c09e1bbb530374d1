"""The price lists that the book keeps: the one in force, and any other by its version."""

from sqlalchemy.engine import Connection

from accounting.book import ledger
from accounting.errors import ConfigInvalid
from accounting.rates import tariff
from accounting.rates.tariff import Tariff
from accounting.vouchers import registry

NO_TARIFF = "none"
"""What runs are rated by while no tariff is loaded: everything is unrated."""


def nothing(timezone: str) -> Tariff:
    """Return the price list of a book that has none."""
    return Tariff(NO_TARIFF, "", {}, timezone)


def loaded(conn: Connection, version: str | None = None) -> Tariff:
    """Return the tariff of a version, or the one that was loaded last.

    Raises:
        ConfigInvalid: No such tariff has been loaded, or its text cannot be read.
    """
    name, text = ledger.document(conn, "tariff", version)
    return tariff.load(text, f"tariff {name}")


def in_force(conn: Connection) -> Tariff | None:
    """Return the tariff that was loaded last, or None where there is none yet."""
    try:
        name, _ = ledger.document(conn, "tariff")
    except ConfigInvalid:
        return None
    return loaded(conn, name)


def discount_of(conn: Connection, prices: Tariff, account: str | None) -> str:
    """Return the name under which a price list has a discount for an account; '' for none."""
    if account is None or not prices.discounts:
        return ""
    return prices.discount_of(account, registry.credit_codes(conn, account=account).get(account))
