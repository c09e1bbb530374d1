"""proof/replay.py: the same accounting data gives the same statements, however it came in."""

import ast
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import delivery
import pytest
from delivery import DECEMBER, FEBRUARY, HOUR_S, close, run, take, yuan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from test_audit import change, rehash
from town import ACCOUNT, Town, stamp

from accounting.book import ledger, schema
from accounting.proof import replay
from accounting.runs.run import Run
from accounting.settle import refunding

OCTOBER = "2024-10-31T23:59:59+08:00"
LATER = "2024-11-20T12:00:00+08:00"
RUNS = [
    run(1, 12_000, OCTOBER, qos="a"),
    run(1, 12_001, state="REQUEUED", qos="a"),
    run(1, 12_002, LATER, qos="a"),
    run(2, 12_000, qos="b"),
    run(3, 7, qos="c", state="NODE_FAIL"),
    run(4, 7, "2024-12-01T00:00:00+08:00", qos="c"),
    run(5, 12, cpus=99_999, state="PREEMPTED"),
    run(6, HOUR_S, DECEMBER, voucher=None),
    run(7, 20 * HOUR_S, "2025-01-01T10:00:00+08:00", partition="dear"),
]
MONTHS = ("2024-10", "2024-11", "2024-12", "2025-01")


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Run]]:
    """The runs in any order and in pieces, some of them twice."""
    mixed = draw(st.permutations([*RUNS, *draw(st.lists(st.sampled_from(RUNS), max_size=4))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(mixed)), max_size=3)))
    edges = [0, *cuts, len(mixed)]
    return [mixed[a:b] for a, b in pairwise(edges)]


@pytest.fixture(scope="module")
def shops(made: Path, keys: Mapping[str, Mapping[str, str]], tmp_path_factory) -> Path:
    """A folder with the book of the town at round prices, to be copied."""
    folder = tmp_path_factory.mktemp("shops")
    shutil.copy(made / "town.db", folder / "book.db")
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}")
    delivery.load_prices(Town(engine, folder / "archive", keys))
    engine.dispose()
    return folder


def settled(folder: Path, keys: Mapping[str, Mapping[str, str]], pieces: list[list[Run]]):
    """Take the pieces in, close every month, give two runs back and close the next one; return what
    the book says and its audit."""
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}", durable=False)
    town = Town(engine, folder / "archive", keys)
    for piece in pieces:
        take(town, *piece, at=DECEMBER)
    for month in MONTHS:
        close(town, month)
    for lost in (RUNS[3], RUNS[-1]):
        key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
        refunding.refund(engine, town.archive, key, "lost", town.policy, stamp(FEBRUARY))
    close(town, "2025-02")
    said, found = delivery.content(engine, ("segment", "charge")), delivery.findings(town)
    engine.dispose()
    return said, found


@pytest.fixture(scope="module")
def at_once(shops: Path, keys: Mapping[str, Mapping[str, str]], tmp_path_factory):
    """What the book says when all runs come in at once and in order."""
    folder = tmp_path_factory.mktemp("at_once") / "copy"
    shutil.copytree(shops, folder)
    said, found = settled(folder, keys, [RUNS])
    assert found == []
    return said


@pytest.mark.thorough
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(pieces=arrivals())
def test_same_data_same_statements(
    shops: Path, keys, at_once, tmp_path_factory, pieces: list[list[Run]]
) -> None:
    """Twice, out of order, in pieces and with requeues: statements and balances are the same."""
    folder = tmp_path_factory.mktemp("mixed") / "copy"
    shutil.copytree(shops, folder)
    said, found = settled(folder, keys, pieces)
    shutil.rmtree(folder)

    assert said == at_once
    assert found == []


def test_the_statements_by_hand(at_once) -> None:
    """3.33 in October; 3.333611 + 3.333889 + 3.333333 in November; 0.001944 in December;
    4,000 in January of which 2,000 are eligible. Given back are the second of November's three,
    which leaves 6.6675, and January's."""
    found = [ast.literal_eval(row) for row in at_once["statement"]]

    assert [(row[2], row[5], row[6], row[7]) for row in found] == [
        ("2024-10", 333, 166, 167),
        ("2024-11", 1_000, 500, 500),
        ("2024-12", 0, 0, 0),
        ("2025-01", 400_000, 100_000, 300_000),
        ("2025-02", -334 - 400_000, -167 - 100_000, -167 - 300_000),
    ]


@pytest.fixture
def shop(town: Town) -> Town:
    """The town after November, with a correction in December."""
    delivery.load_prices(town)
    take(town, yuan(1, 200, qos="a"), yuan(2, 80, qos="b"))
    close(town, "2024-11")
    take(town, yuan(1, 100, qos="a"), at=DECEMBER)
    close(town, "2024-12")
    return town


def differences(town: Town) -> list[tuple[str, str]]:
    """Replay the book."""
    with town.begin() as conn:
        return list(replay.differences(conn, town.archive, town.policy))


def test_a_sound_book_replays(shop: Town) -> None:
    """Nothing comes out otherwise, correction and all."""
    assert differences(shop) == []


def unlock(town: Town) -> None:
    """Let the book be changed."""
    with town.begin() as conn:
        for table in ("journal", "posting", *schema.COVERED):
            conn.exec_driver_sql(f"DROP TRIGGER {table}_no_update")
        for act in ("insert", "update", "delete"):
            conn.exec_driver_sql(f"DROP TRIGGER balance_guard_{act}")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE statement_line SET runs = runs + 1 WHERE qos = 'b'",
            [(f"S-{ACCOUNT}-2024-11/2", "runs comes out as 1, written is 2")],
        ),
        (
            "UPDATE charge SET charge_micro = 1, eligible_micro = 1 WHERE charge_micro < 0",
            [
                "runs add up to (-100000000, -100000000) micro-yuan (charge, eligible), posted is"
                " (1, 1)",
                "cannot be replayed",
            ],
        ),
        (
            "UPDATE document SET text = replace(text, '1.00', 'x') WHERE version = 'round-1'",
            ["cannot be replayed: tariff round-1"] * 2,
        ),
    ],
)
def test_what_comes_out_otherwise(shop: Town, dialect: str, statement: str, expected) -> None:
    """A line, a charge and a tariff that were changed are each named with both figures."""
    if dialect != "sqlite":
        pytest.skip("a forger's tools are written for SQLite")
    unlock(shop)
    change(shop, statement)
    rehash(shop)
    found = differences(shop)

    assert len(found) == len(expected)
    for wanted, (subject, message) in zip(expected, found, strict=True):
        assert wanted == (subject, message) or str(wanted) in message


def test_the_book_is_only_read(shop: Town) -> None:
    """A replay adds nothing to the book."""
    with shop.begin() as conn:
        before = conn.execute(select(schema.journal)).all()
    differences(shop)
    with shop.begin() as conn:
        assert conn.execute(select(schema.journal)).all() == before


def test_what_is_not_stated_yet_replays_too(shop: Town) -> None:
    """Charges without a statement and runs of an unknown cluster come out the same."""
    take(shop, yuan(8, 1, DECEMBER), yuan(9, 1, LATER, cluster="elsewhere"))

    assert differences(shop) == []
