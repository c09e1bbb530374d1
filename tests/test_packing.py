"""redeem/packing.py: the same claim makes the same packet, and what it says is what was stated."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import delivery
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delivery import DECEMBER, JANUARY, claim, close, invoice, open_claim, submit, take, yuan
from town import ACCOUNT, PROVIDER, VOUCHER, Town, pay

from accounting.redeem import backing, funding, merkle, packet, packing

Q4 = f"C-{PROVIDER}-2024-Q4-1"


@pytest.fixture
def claimed(town: Town) -> Iterator[Town]:
    """The town with a claim over November's lines of 100.00 and 40.00."""
    delivery.november(town)
    invoice(town, "2024-11")
    open_claim(town)
    yield town
    assert delivery.findings(town) == []


def packed(town: Town, folder: Path, claim_id: str = Q4) -> Path:
    """Write a claim's packet."""
    out = folder / f"{claim_id}.zip"
    with town.begin() as conn:
        packing.write(backing.Source(conn, town.archive, town.policy), claim_id, out)
    return out


def content(path: Path) -> dict[str, bytes]:
    """Return the files of a packet."""
    with ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def table(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    """Return a CSV file of a packet as rows."""
    return list(csv.DictReader(io.StringIO(files[name].decode())))


def test_a_packet_has_all_of_its_files(claimed: Town, tmp_path: Path) -> None:
    """The files are those of the format, the manifest is the last one and has their hashes."""
    path = packed(claimed, tmp_path)
    with ZipFile(path) as zipped:
        assert zipped.namelist() == [*packet.FILES, packet.MANIFEST]
        assert {info.date_time for info in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert set(json.loads(content(path)[packet.MANIFEST])["files"]) == set(packet.FILES)


def test_a_packet_made_later_has_the_same_bytes(claimed: Town, tmp_path: Path) -> None:
    """Payments, runs, statements, invoices and claims that come later change nothing in it."""
    before = packed(claimed, tmp_path).read_bytes()
    submit(claimed, Q4)
    with claimed.begin() as conn:
        pay(conn, "10.00", "BANK-9")
    take(claimed, yuan(1, 140, qos="a"), yuan(3, 100, DECEMBER), at=DECEMBER)
    close(claimed, "2024-12")
    invoice(claimed, "2024-12")
    open_claim(claimed)

    assert packed(claimed, tmp_path).read_bytes() == before


def test_the_figures_of_a_packet(claimed: Town, tmp_path: Path) -> None:
    """A claim of 140.00 is 100.00 and 40.00, borne by the voucher and the programme."""
    files = content(packed(claimed, tmp_path))
    summary = json.loads(files[packet.SUMMARY])
    assert summary["amount_fen"] == claim(claimed, Q4)["amount_fen"] == 14_000
    assert summary["by_voucher_fen"] == {VOUCHER: 14_000}
    assert summary["by_funder_fen"] == {"chengdu-2023": 14_000}
    lines = table(files, packet.LINES)
    assert [line["claimed_fen"] for line in lines] == ["10000", "4000"]
    [invoiced] = table(files, packet.INVOICES)
    assert (invoiced["number"], invoiced["gross_fen"]) == ("F-2024-11", "14000")
    [payment] = table(files, packet.PAYMENTS)
    assert (payment["reference"], payment["amount_fen"]) == ("BANK-1", "5000000")
    [due] = table(files, packet.DUES)
    assert (due["statement"], due["due_fen"]) == (f"S-{ACCOUNT}-2024-11", "14000")


def test_runs_stand_in_csv_and_parquet_and_nobody_is_named(claimed: Town, tmp_path: Path) -> None:
    """Both files have the same rows, the root is theirs, and no user stands in them."""
    files = content(packed(claimed, tmp_path))
    rows = pq.read_table(pa.BufferReader(files[packet.USAGE_PARQUET])).to_pylist()
    told = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]
    assert told == table(files, packet.USAGE_CSV)
    assert [(row["job_id"], row["count"], row["line"]) for row in rows] == [
        (1, 1, delivery.LINES[0]),
        (2, 1, delivery.LINES[1]),
    ]
    tree = json.loads(files[packet.MANIFEST])["merkle"]
    assert tree["root"] == merkle.root(map(packet.leaf, rows)).hex()
    assert tree["leaves"] == 2
    assert not {"user", "uid", "slurm_account"} & set(rows[0])


def test_a_correction_is_taken_back_and_counted_anew(town: Town, tmp_path: Path) -> None:
    """A run that was stated with 200 and then corrected to 140 counts -1 and +1 in the next
    packet; one that was corrected before any statement counts once."""
    delivery.november(town)
    invoice(town, "2024-11")
    submit(town, open_claim(town))
    take(town, yuan(1, 140, qos="a"), yuan(3, 100, DECEMBER), at=DECEMBER)
    take(town, yuan(3, 110, DECEMBER), at=DECEMBER)
    close(town, "2024-12")
    invoice(town, "2024-12")
    second = open_claim(town, at=JANUARY)
    files = content(packed(town, tmp_path, second))
    runs = [
        (row["job_id"], row["revision"], row["count"], row["charge_micro"])
        for row in table(files, packet.USAGE_CSV)
    ]
    assert runs == [
        ("1", "0", "-1", "200000000"),
        ("1", "1", "1", "140000000"),
        ("3", "1", "1", "110000000"),
    ]
    assert json.loads(files[packet.SUMMARY])["amount_fen"] == 5_500 - 3_000


@pytest.mark.parametrize(
    ("fen", "shares", "parts"),
    [
        (6_667, [("province", 1), ("city", 1)], {"province": 3_334, "city": 3_333}),
        (-6_667, [("province", 1), ("city", 1)], {"province": -3_334, "city": -3_333}),
        (100, [("city", 200), ("district", 100)], {"city": 67, "district": 33}),
        (100, [], {"programme": 100}),
    ],
)
def test_what_each_funder_pays(fen: int, shares: list[tuple[str, int]], parts: object) -> None:
    """Funders pay in proportion to what they gave, by largest remainder, credits as well."""
    assert funding.by_funder({"V": fen}, {}, {"V": shares}, "programme") == parts
