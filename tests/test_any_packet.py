"""Whatever is delivered, corrected, given back and closed: the packet of a claim proves itself."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from random import Random

import delivery
import pytest
import town as towns
from delivery import close, invoice, submit
from test_any_story import MONTHS, act, begin
from test_eligible import MINE
from test_packing import packed
from town import PROVIDER, Town, pay, stamp

from accounting.book import ledger
from accounting.errors import InvalidInput, Refused
from accounting.redeem import checking, redemption
from accounting.runs.run import Run


def told(keys: Mapping[str, Mapping[str, str]], folder: Path) -> Town:
    """Make a town whose vouchers may have shares of their own."""
    url = f"sqlite:///{folder / 'book.db'}"
    engine = ledger.connect(url, durable=False, must_exist=False)
    shop = towns.by(engine, folder, keys, MINE.replace("policy: chengdu-2023\n", "policy: mine\n"))
    with shop.begin() as conn:
        pay(conn, "50,000,000", "BANK-MUCH")
    delivery.load_prices(shop)
    return shop


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(16))
def test_any_packet_proves_itself(
    keys: Mapping[str, Mapping[str, str]], tmp_path: Path, seed: int
) -> None:
    """Every claim of a random story has a packet without findings, which later has its bytes."""
    shop = told(keys, tmp_path)
    random, known = Random(seed), dict[int, Run]()
    begin(shop, random)
    packets: dict[str, bytes] = {}
    for place, month in enumerate(MONTHS, 1):
        for _ in range(random.randint(1, 5)):
            act(shop, random, known, MONTHS[:place])
        close(shop, month)
        with contextlib.suppress(Refused, InvalidInput):  # no statement, or nothing to invoice
            invoice(shop, month)
        quarter = "2024-Q4" if month < "2025" else "2025-Q1"
        with contextlib.suppress(Refused), shop.begin() as conn:
            at = stamp("2025-04-05T09:00:00+08:00")
            claim = redemption.open_claim(conn, PROVIDER, quarter, shop.policy, at)
            packets[claim] = b""
        for claim, before in packets.items():
            path = packed(shop, tmp_path, claim)
            assert checking.check(path).findings == [], claim
            assert path.read_bytes() == before or not before
            packets[claim] = path.read_bytes()
            if not before:
                submit(shop, claim)
    assert packets
    shop.engine.dispose()
