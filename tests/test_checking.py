"""redeem/checking.py, reading.py, proving.py: a packet proves itself, or says what does not fit."""

import hashlib
import io
import json
import re
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import delivery
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delivery import DECEMBER, JANUARY, close, invoice, open_claim, submit, take, yuan
from homes import Home, one_line
from test_packing import Q4, content, packed
from town import ACCOUNT, Town, instant, stamp

from accounting.book import ledger
from accounting.errors import InvalidInput, InvariantBroken
from accounting.redeem import checking, merkle, packet, proving, reading
from accounting.settle import refunding

Files = dict[str, bytes]
Keys = Mapping[str, Mapping[str, str]]
LINE = delivery.LINES[0]
PAPER = f"S-{ACCOUNT}-2024-11"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, made: Path, keys: Keys) -> Path:
    """The packet of a claim over November's lines of 100.00 and 40.00."""
    folder = tmp_path_factory.mktemp("told")
    shutil.copy(made / "town.db", folder / "book.db")
    town = Town(ledger.connect(f"sqlite:///{folder / 'book.db'}"), folder / "archive", keys)
    delivery.november(town)
    invoice(town, "2024-11")
    open_claim(town)
    out = packed(town, folder)
    town.engine.dispose()
    return out


def zipped(files: Files, out: Path, method: int = ZIP_DEFLATED) -> Path:
    """Write files as a zip."""
    with ZipFile(out, "w") as target:
        for name, text in files.items():
            target.writestr(ZipInfo(name), text, method)
    return out


def sealed(files: Files) -> Files:
    """Make the manifest fit again: whoever forges a packet does that as well."""
    manifest = json.loads(files[packet.MANIFEST])
    rows = pq.read_table(pa.BufferReader(files[packet.USAGE_PARQUET])).to_pylist()
    root = merkle.root(map(packet.leaf, rows)).hex()
    manifest["merkle"] |= {"root": root, "leaves": len(rows)}
    for name in manifest["files"]:
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(files[name])}
    return files | {packet.MANIFEST: as_json(manifest)}


def as_json(value: object) -> bytes:
    """Write an object in the one form."""
    return packet.canonical(value).encode() + b"\n"


def findings(path: Path) -> list[checking.Finding]:
    """Check a packet."""
    return list(checking.check(path).findings)


Edit = Callable[[Files], None]


def text(name: str, old: str, new: str) -> Edit:
    """Replace some text of a file, which is there."""

    def edit(files: Files) -> None:
        assert old.encode() in files[name]
        files[name] = files[name].replace(old.encode(), new.encode(), 1)

    return edit


def said(name: str, *path: object, value: object) -> Edit:
    """Change a value in a JSON file."""

    def edit(files: Files) -> None:
        whole = at = json.loads(files[name])
        for step in path[:-1]:
            at = at[step]
        assert at[path[-1]] != value
        at[path[-1]] = value
        files[name] = as_json(whole)

    return edit


def runs(**changes: object) -> Edit:
    """Change the first run in both files."""

    def edit(files: Files) -> None:
        rows = pq.read_table(pa.BufferReader(files[packet.USAGE_PARQUET])).to_pylist()
        rows[0] |= changes
        put(files, rows)

    return edit


def put(files: Files, rows: list[dict[str, object]]) -> None:
    """Put runs into both files."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, packet.USAGE), sink)
    files[packet.USAGE_PARQUET] = sink.getvalue()
    files[packet.USAGE_CSV] = packet.text([packet.USAGE.names, *(row.values() for row in rows)])


def dropped(files: Files) -> None:
    """Leave the first run out of both files."""
    rows = pq.read_table(pa.BufferReader(files[packet.USAGE_PARQUET])).to_pylist()
    put(files, rows[1:])


def doubled(files: Files) -> None:
    """Put the first run in twice."""
    rows = pq.read_table(pa.BufferReader(files[packet.USAGE_PARQUET])).to_pylist()
    put(files, [rows[0], *rows])


def test_a_packet_proves_itself(told: Path) -> None:
    """A packet as it was written has no findings, and its figures are told."""
    proof = checking.check(told)
    assert proof.findings == []
    assert (proof.claim, proof.runs, proof.amount_fen) == (Q4, 2, 14_000)
    assert checking.check(told, proof.sha256.upper()).findings == []


def test_another_hash_than_the_books(told: Path) -> None:
    """A packet that is not the one whose hash the book keeps is a finding."""
    [finding] = checking.check(told, "0" * 64).findings
    assert "not 0000" in finding.message


@pytest.mark.parametrize("name", packet.FILES)
def test_a_changed_byte_is_found_in_every_file(told: Path, tmp_path: Path, name: str) -> None:
    """A file that is not the one of the manifest is named."""
    files = content(told)
    files[name] = files[name][:-2] + b"!" + files[name][-1:]
    found = findings(zipped(files, tmp_path / "p.zip"))
    assert found[0].file == name
    assert "the manifest says" in found[0].message


@pytest.mark.parametrize("name", packet.FILES)
def test_a_missing_file_is_found(told: Path, tmp_path: Path, name: str) -> None:
    """A file that is not there is named."""
    files = content(told)
    del files[name]
    found = findings(zipped(files, tmp_path / "p.zip"))
    assert (found[-1].file, found[-1].message) == (name, "is not in the packet")


FORGED: dict[str, tuple[Edit, str, str, str]] = {
    "a run costs more": (
        runs(charge_micro=300_000_000, intervals_micro="0 300000000 0"),
        packet.LINES,
        LINE,
        "charge_micro is 200000000, its runs come to 300000000",
    ),
    "a run's parts do not add up": (
        runs(charge_micro=1),
        packet.USAGE_PARQUET,
        "2",
        "its intervals come to 200000000 micro-yuan, its charge is 1",
    ),
    "a run's parts are no numbers": (runs(intervals_micro="x"), packet.USAGE_PARQUET, "2", "'x'"),
    "a run has other parts": (
        runs(intervals_micro="200000000"),
        packet.USAGE_PARQUET,
        "3",
        "has 3 intervals, other runs of the month 1",
    ),
    "a run that is left out": (dropped, packet.LINES, LINE, "runs is 1, its runs come to 0"),
    "a run twice": (doubled, packet.USAGE_PARQUET, "3", "out of order, or there twice"),
    "a run of another account": (runs(account="CD24-9"), packet.USAGE_PARQUET, "2", "CD24-9"),
    "a run of another statement": (runs(statement="S-1"), packet.USAGE_PARQUET, "2", "S-1 is not"),
    "a run that counts double": (runs(count=2), packet.USAGE_PARQUET, "2", "counts 2"),
    "a run of another month": (
        runs(end_s=instant(DECEMBER)),
        packet.USAGE_PARQUET,
        "2",
        "which is not in 2024-11",
    ),
    "a run of another kind": (runs(qos="b"), packet.USAGE_PARQUET, "2", "of its line"),
    "a run without its line": (runs(line=""), packet.USAGE_PARQUET, PAPER, "have no line"),
    "a run of a strange line": (runs(line="S-1/1"), packet.USAGE_PARQUET, "2", "is not there"),
    "a line deducts more": (
        text(packet.LINES, ",20000,10000,10000,10000", ",20000,11000,9000,10000"),
        packet.LINES,
        LINE,
        "the rule gives 200.00 and 100.00",
    ),
    "a line's shares do not add up": (
        text(packet.LINES, ",20000,10000,10000,10000", ",20000,10000,10001,10000"),
        packet.LINES,
        LINE,
        "are not the fee 200.00",
    ),
    "a line claims more than it deducted": (
        text(packet.LINES, ",10000,10000\n", ",10000,10001\n"),
        packet.LINES,
        LINE,
        "100.01 yuan is claimed, 100.00 was deducted",
    ),
    "a line that is no number": (
        text(packet.LINES, ",10000,10000\n", ",10000,1e4\n"),
        packet.LINES,
        "2",
        "claimed_fen is '1e4', which is no number",
    ),
    "a claim over more than its lines": (
        said(packet.SUMMARY, "amount_fen", value=14_001),
        packet.SUMMARY,
        Q4,
        "claims 140.01 yuan, its lines 140.00",
    ),
    "a statement with another fee": (
        said(packet.STATEMENTS, 0, "fee_fen", value=28_001),
        packet.STATEMENTS,
        PAPER,
        "fee_fen is 28001, its lines have 28000",
    ),
    "a voucher that bears more than the rules say": (
        said(packet.STATEMENTS, 0, "vouchers", 0, "ratio_bp", value=6_000),
        packet.STATEMENTS,
        PAPER,
        "bears 6000 bp, category general 5000",
    ),
    "a deduction that the rule does not give": (
        said(packet.STATEMENTS, 0, "months", 0, "drawn_fen", f"{ACCOUNT}-1", value=15_000),
        packet.STATEMENTS,
        f"{PAPER} 2024-11",
        "draws 150.00 of CD24-0001-1, the rule gives 140.00",
    ),
    "a voucher that was used up": (
        said(packet.STATEMENTS, 0, "left_fen", f"{ACCOUNT}-1", value=5_000),
        packet.STATEMENTS,
        f"{PAPER} 2024-11",
        "the rule gives 50.00",
    ),
    "an earlier fee that was not stated": (
        said(packet.STATEMENTS, 0, "months", 0, "before", "charge_micro", value=1),
        packet.STATEMENTS,
        f"{PAPER} 2024-11",
        "come to 0 micro-yuan, the charge to 1",
    ),
    "a month with too few intervals": (
        said(packet.STATEMENTS, 0, "months", 0, "before", "intervals_micro", value=[0]),
        packet.STATEMENTS,
        f"{PAPER} 2024-11",
        "cannot be worked out",
    ),
    "a statement without its months": (
        said(packet.STATEMENTS, 0, "months", value=[]),
        packet.STATEMENTS,
        PAPER,
        "its lines ['2024-11']",
    ),
    "a statement that says something else": (
        text(packet.STATEMENTS, '"account"', '"note":"x","account"'),
        packet.STATEMENTS,
        "",
        "is not what it should be",
    ),
    "numbers written in another way": (
        text(packet.SUMMARY, '"amount_fen":14000', '"amount_fen": 14000'),
        packet.SUMMARY,
        "",
        "the one form",
    ),
    "an invoice over less": (
        text(packet.INVOICES, ",14000,", ",13000,"),
        packet.INVOICES,
        "F-2024-11",
        "is over 130.00",
    ),
    "an invoice that is not there": (
        lambda files: files.update({packet.INVOICES: packet.table(packet.INVOICES, [])}),
        packet.LINES,
        LINE,
        "100.00 yuan is claimed, no invoice stands here",
    ),
    "a payment of less": (
        text(packet.PAYMENTS, ",5000000,", ",13999,"),
        packet.LINES,
        LINE,
        "the unit has paid 139.99 of 140.00",
    ),
    "a statement that was due less": (
        text(packet.DUES, ",14000", ",100"),
        packet.DUES,
        PAPER,
        "due is 100 fen, the statement says 14000",
    ),
    "a funder who pays more": (
        said(packet.SUMMARY, "by_funder_fen", value={"province": 14_000}),
        packet.SUMMARY,
        "by_funder_fen",
        "the packet makes it {'chengdu-2023': 14000}",
    ),
    "another voucher": (
        said(packet.SUMMARY, "by_voucher_fen", value={"V": 14_000}),
        packet.SUMMARY,
        "by_voucher_fen",
        "the packet makes it",
    ),
    "a summary table that says more": (
        text(packet.SUMMARY_CSV, ",14000", ",15000"),
        packet.SUMMARY_CSV,
        "2",
        "15000",
    ),
    "other rules": (
        text(packet.POLICY, "deduct:\n  ratio: 50%", "deduct:\n  ratio: 60%"),
        packet.STATEMENTS,
        PAPER,
        "bears 5000 bp, category general 6000",
    ),
    "rules that are none": (
        lambda files: files.update({packet.POLICY: b"policy: [\n"}),
        packet.POLICY,
        "",
        "cannot be read",
    ),
    "a claim of another name": (
        said(packet.SUMMARY, "claim", value="C-2"),
        packet.MANIFEST,
        "",
        f"is of claim {Q4}, the summary of C-2",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_packet_is_found(told: Path, tmp_path: Path, what: str) -> None:
    """Whoever forges a packet and makes manifest, hashes and root fit is found by what it says."""
    edit, file, line, words = FORGED[what]
    files = content(told)
    edit(files)
    found = findings(zipped(sealed(files), tmp_path / "p.zip"))
    fitting = [each for each in found if (each.file, each.line) == (file, line)]
    assert any(words in each.message for each in fitting), found


def test_a_run_that_differs_between_the_files(told: Path, tmp_path: Path) -> None:
    """A figure that is another one in the CSV file is named with its row and column."""
    files = content(told)
    text(packet.USAGE_CSV, ",200000000,", ",200000001,")(files)
    [found] = findings(zipped(sealed(files), tmp_path / "p.zip"))
    assert (found.file, found.line) == (packet.USAGE_CSV, "2")
    assert "charge_micro is '200000001', in usage.parquet it is 200000000" in found.message


@pytest.mark.parametrize(
    ("edit", "line", "words"),
    [
        (lambda csv: csv + csv.splitlines(keepends=True)[-1], "4", "more rows than the 2"),
        (lambda csv: b"".join(csv.splitlines(keepends=True)[:-1]), "3", "no row of a run"),
        (lambda csv: csv.replace(b"statement,line", b"line,statement"), "1", "other columns"),
        (lambda csv: csv.replace(b",COMPLETED,", b",COMPLETED,,"), "2", "'', in usage.parquet"),
    ],
)
def test_rows_that_are_in_one_file_alone(
    told: Path, tmp_path: Path, edit: Callable[[bytes], bytes], line: str, words: str
) -> None:
    """A row too many, too few, a strange column or cell in the CSV file is found."""
    files = content(told)
    files[packet.USAGE_CSV] = edit(files[packet.USAGE_CSV])
    found = findings(zipped(sealed(files), tmp_path / "p.zip"))
    assert (found[0].file, found[0].line) == (packet.USAGE_CSV, line)
    assert words in found[0].message


def test_another_root(told: Path, tmp_path: Path) -> None:
    """A root that is not the one of the runs is found."""
    files = content(told)
    said(packet.MANIFEST, "merkle", "root", value="0" * 64)(files)
    [found] = findings(zipped(files, tmp_path / "p.zip"))
    assert (found.file, found.line) == (packet.MANIFEST, "merkle")


@pytest.mark.parametrize("content_", [b"PAR1", b"x" * 100, b""])
def test_parquet_that_is_none(told: Path, tmp_path: Path, content_: bytes) -> None:
    """Runs that cannot be read are a finding and no stack trace."""
    files = content(told)
    files[packet.USAGE_PARQUET] = content_
    found = findings(zipped(files, tmp_path / "p.zip"))
    assert found[-1].file == packet.USAGE_PARQUET
    assert "cannot be read" in found[-1].message


def test_a_damaged_zip(told: Path, tmp_path: Path) -> None:
    """A byte that changed on the way is found, wherever it is: nothing passes unnoticed."""
    whole = told.read_bytes()
    out = tmp_path / "p.zip"
    proof = checking.check(told)
    for i in range(0, len(whole), 7):
        out.write_bytes(whole[:i] + bytes([whole[i] ^ 0x41]) + whole[i + 1 :])
        try:
            found = checking.check(out, proof.sha256).findings
        except InvalidInput:
            continue
        assert found, i


@pytest.mark.parametrize("seed", range(8))
def test_nothing_in_a_packet_makes_a_check_fail(told: Path, tmp_path: Path, seed: int) -> None:
    """Whatever stands in a paper, a check ends and raises nothing."""
    random, original = Random(seed), content(told)
    texts = [name for name in packet.FILES if not name.startswith("usage")]
    for _ in range(40):
        name = random.choice(texts)
        words = re.split(rb"(-?[0-9]+)", original[name])
        place = random.randrange(len(words))
        bad = [b"", b"0", b"-1", b"1", b"99999999999999999999", b"\xff", b'"', b"\n", b"[", b"x"]
        was, words[place] = words[place], random.choice(bad)
        if words[place] == was:
            continue
        manifest = json.loads(original[packet.MANIFEST])
        text_ = b"".join(words)
        digest = hashlib.sha256(text_).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(text_)}
        files = original | {name: text_, packet.MANIFEST: as_json(manifest)}
        checking.check(zipped(files, tmp_path / "p.zip"))


def test_no_byte_of_the_parquet_file_makes_a_check_fail(told: Path, tmp_path: Path) -> None:
    """Whatever byte of the runs' file is another one, a check ends and raises nothing."""
    random, original = Random(1), content(told)
    for _ in range(200):
        runs_ = bytearray(original[packet.USAGE_PARQUET])
        runs_[random.randrange(len(runs_))] = random.randrange(256)
        manifest = json.loads(original[packet.MANIFEST])
        digest = hashlib.sha256(runs_).hexdigest()
        manifest["files"][packet.USAGE_PARQUET] = {"sha256": digest, "size_bytes": len(runs_)}
        changed = {packet.USAGE_PARQUET: bytes(runs_), packet.MANIFEST: as_json(manifest)}
        checking.check(zipped(original | changed, tmp_path / "p.zip"))


# --- what is no packet ---------------------------------------------------------------------------


def _bomb(files: Files, out: Path) -> None:
    """Write a paper that unpacks to more than a paper may have."""
    zipped(files | {packet.LINES: b"0" * (reading.SMALL_BYTES_MAX + 1)}, out)


def _twice(files: Files, out: Path) -> None:
    zipped(files, out)
    with pytest.warns(UserWarning, match="Duplicate name"), ZipFile(out, "a") as target:
        target.writestr(packet.LINES, b"")


def _overlapping(files: Files, out: Path) -> None:
    """Let the directory name one place for two files."""
    zipped(files, out)
    whole = out.read_bytes()
    first, second = (whole.rindex(b"PK\1\2", 0, whole.rindex(name)) for name in _LAST_TWO)
    at = struct.unpack_from("<L", whole, first + 42)
    changed = bytearray(whole)
    struct.pack_into("<L", changed, second + 42, *at)
    out.write_bytes(changed)


_LAST_TWO = [packet.USAGE_PARQUET.encode(), packet.MANIFEST.encode()]


def _said_smaller(files: Files, out: Path) -> None:
    """Let the directory say that there are more files than a packet has."""
    zipped(files | {f"x{i}": b"" for i in range(100)}, out)


NO_PACKETS: dict[str, tuple[Callable[[Files, Path], object], str]] = {
    "nothing": (lambda _, out: out.write_bytes(b""), "has 0 bytes"),
    "text": (lambda _, out: out.write_bytes(b"a claim\n" * 100), "does not end as a zip"),
    "an empty zip": (lambda _, out: zipped({}, out), "holds no manifest.json"),
    "a stranger in it": (
        lambda files, out: zipped(files | {"note.txt": b""}, out),
        "too many for a packet",
    ),
    "another file in place of one": (
        lambda files, out: zipped(
            {"../evil" if n == packet.DUES else n: c for n, c in files.items()}, out
        ),
        "holds '../evil', which has no place",
    ),
    "many files": (_said_smaller, "111 files"),
    "a bomb": (_bomb, f"at most {reading.SMALL_BYTES_MAX} are read"),
    "another packing": (
        lambda files, out: zipped(files, out, ZIP_BZIP2),
        "packed in a way that packets are not",
    ),
    "overlapping": (_overlapping, "overlaps another file"),
    "bytes before it": (
        lambda files, out: out.write_bytes(b"#!/bin/sh\n" + zipped(files, out).read_bytes()),
        "something stands before",
    ),
    "bytes after it": (
        lambda files, out: out.write_bytes(zipped(files, out).read_bytes() + b"x"),
        "does not end as a zip",
    ),
}


@pytest.mark.parametrize("what", NO_PACKETS)
def test_what_is_no_packet_is_refused(told: Path, tmp_path: Path, what: str) -> None:
    """What is no packet, or would be more than one, is refused before it is read."""
    make, words = NO_PACKETS[what]
    out = tmp_path / "p.zip"
    make(content(told), out)
    with pytest.raises(InvalidInput, match=words):
        checking.check(out)


def test_a_file_twice_is_refused(told: Path, tmp_path: Path) -> None:
    """Two files of one name, of which readers may take the one or the other, are no packet."""
    files = content(told)
    del files[packet.DUES]
    out = tmp_path / "p.zip"
    _twice(files, out)
    with pytest.raises(InvalidInput, match="is twice"):
        checking.check(out)


# --- later claims, and one run -------------------------------------------------------------------


def test_a_claim_with_a_refund_and_a_correction_proves_itself(town: Town, tmp_path: Path) -> None:
    """A packet in which a run is given back, one is corrected and one is new has no findings; with
    the credit's run exchanged it has."""
    delivery.november(town)
    invoice(town, "2024-11")
    submit(town, open_claim(town))
    run = yuan(2, 80)
    refunding.refund(
        town.engine,
        town.archive,
        (run.cluster, run.job_id, run.submit_s, run.start_s),
        "lost",
        town.policy,
        stamp(DECEMBER),
    )
    take(town, yuan(1, 150, qos="a"), yuan(3, 301, DECEMBER), at=DECEMBER)
    close(town, "2024-12")
    invoice(town, "2024-12")
    out = packed(town, tmp_path, open_claim(town, at=JANUARY))
    proof = checking.check(out)
    assert proof.findings == []
    assert (proof.runs, proof.amount_fen) == (4, 15_050 - 2_500 - 4_000)

    files = content(out)
    [paper] = json.loads(files[packet.STATEMENTS])
    assert [each["id"] for each in paper["months"][0]["refunds"]] == [f"R-{ACCOUNT}-1"]
    said(packet.STATEMENTS, 0, "months", 0, "refunds", 0, "job_id", value=1)(files)
    [finding] = findings(zipped(sealed(files), tmp_path / "p.zip"))
    assert "is not the run that line" in finding.message


def test_the_proof_of_one_run(told: Path) -> None:
    """A run's path leads from its own row to the root in the manifest."""
    [proof] = proving.prove(told, "2")
    steps = [bytes.fromhex(step) for step in proof["path"]]
    hash_ = packet.leaf(proof["leaf"])
    assert merkle.climb(hash_, proof["index"], proof["leaves"], steps).hex() == proof["root"]
    assert proof["root"] == checking.check(told).root
    assert proof["leaf"]["charge_micro"] == 80_000_000


def test_no_proof_of_what_is_not_there(told: Path, tmp_path: Path) -> None:
    """A job that is not in the packet has no proof, and neither has one of a forged packet."""
    with pytest.raises(InvalidInput, match="0 of its 2 runs are of job 9"):
        proving.prove(told, "9")
    files = content(told)
    runs(charge_micro=1)(files)
    with pytest.raises(InvariantBroken, match="its runs have the root"):
        proving.prove(zipped(files, tmp_path / "p.zip"), "2")


def test_verify_needs_no_book(told: Path, tmp_path: Path) -> None:
    """The commands work where there is no site: exit 0 for a packet, 5 for a forged one with its
    findings, 3 for what is none."""
    nowhere = Home(tmp_path / "nowhere")
    assert f"claim {Q4}: 140.00 yuan over 2 runs, 0 findings" in nowhere.ok(
        "claim", "verify", str(told)
    )
    assert json.loads(nowhere.ok("claim", "prove", str(told), "1"))[0]["index"] == 0
    files = content(told)
    FORGED["a run costs more"][0](files)
    done = nowhere.run("claim", "verify", str(zipped(sealed(files), tmp_path / "p.zip")))
    assert done.exit_code == 5
    assert "its runs come to 300000000" in done.stdout
    (tmp_path / "none").write_text("x" * 99)
    one_line(nowhere.run("claim", "verify", str(tmp_path / "none")), 3, "does not end as a zip")
    one_line(nowhere.run("claim", "verify", str(tmp_path / "gone")), 3, "No such file")
