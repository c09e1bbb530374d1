"""Papers are kept by content: what was handed in is what is reviewed, or nothing is decided."""

import hashlib
import os

import pytest
import town as towns
from sqlalchemy import select
from town import ACCOUNT, CONTRACT, NOW, POLICY, instant, stamp

from accounting.book import ledger, schema
from accounting.errors import InvalidInput, NotAllowed
from accounting.proof import audit
from accounting.vouchers import issuing, papers

APPLICATION = f"A-{ACCOUNT}"
TEXT = b"a contract"
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def root(tmp_path):
    """Where papers are kept."""
    return tmp_path / "papers"


@pytest.fixture
def scan(tmp_path):
    """A contract as a file."""
    path = tmp_path / "HT.pdf"
    path.write_bytes(TEXT)
    return path


def apply(town, *kept, **changes):
    """Apply for a voucher with papers that are kept."""
    with town.begin() as conn:
        return towns.add_application(conn, paper_sha256=kept[0].sha256, kept=kept, **changes)


@pytest.fixture
def applied(people, root, scan):
    """A town with an application whose paper is kept."""
    with people.begin() as conn:
        towns.add_contract(conn)
    apply(people, towns.keep_paper(root, scan, "contract"))
    return people


def draft(town, root):
    """Draft the regulator's confirmation."""
    at_s = instant(NOW)
    with town.begin() as conn:
        return issuing.draft_review(conn, APPLICATION, "confirm", "", POLICY, at_s, root)


def accept(town, act, root):
    """Carry the review out."""
    with town.begin() as conn:
        return issuing.accept_review(conn, act, POLICY, stamp(), root)


def head(town):
    """Return the journal's head."""
    with town.begin() as conn:
        return ledger.head(conn)


def test_a_paper_is_kept_by_its_hash(root, scan):
    """The copy has the same bytes; once more is the same file, and another file is beside it."""
    kept = towns.keep_paper(root, scan, "contract")
    assert kept == papers.Paper(SHA256, "contract", "HT.pdf", len(TEXT))
    assert towns.keep_paper(root, scan, "annex").sha256 == SHA256
    scan.write_bytes(b"another")
    towns.keep_paper(root, scan, "contract")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert len(files) == 2
    assert all(hashlib.sha256(p.read_bytes()).hexdigest() == p.name for p in files)


def test_a_paper_that_is_written_to_meanwhile_is_not_kept(root, scan):
    """What is kept is what was described, or nothing is."""
    paper = papers.describe(scan, "contract")
    scan.write_bytes(b"another")
    other = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(InvalidInput, match=f"had SHA-256 {SHA256} a moment ago, now {other}"):
        papers.keep(root, scan, paper)
    assert not root.exists()


def test_a_paper_is_whole_or_not_there(root, scan, monkeypatch):
    """Where the disk fails before the file is safe, nothing stands under its hash."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(OSError, match="I/O error"):
            towns.keep_paper(root, scan, "contract")
    assert papers.hash_of(root, SHA256) is None
    towns.keep_paper(root, scan, "contract")
    assert papers.hash_of(root, SHA256) == SHA256


@pytest.mark.parametrize("how", ["missing", "folder", "empty", "large"])
def test_what_is_no_paper_is_refused(root, scan, monkeypatch, how):
    """A file that is not there, empty or too large is refused by its path, and nothing is kept."""
    monkeypatch.setattr(papers, "BYTES_MAX", 10_000)
    scan.unlink()
    if how == "folder":
        scan.mkdir()
    elif how != "missing":
        scan.write_bytes(b"x" * (0 if how == "empty" else 10_001))
    with pytest.raises(InvalidInput, match=f"paper {scan}: "):
        towns.keep_paper(root, scan, "contract")
    assert not root.exists()


def test_the_book_knows_who_handed_in_what(applied):
    """Each paper stands with its hash, size, name, and who brought it when."""
    with applied.begin() as conn:
        [row] = papers.of(conn, APPLICATION)
    assert (row["sha256"], row["size_bytes"], row["name"], row["kind"]) == (
        SHA256,
        len(TEXT),
        "HT.pdf",
        "contract",
    )
    assert (row["actor"], row["effective_s"]) == ("operations", instant(NOW))


def test_the_same_paper_twice_is_one(people, root, scan):
    """A contract that is handed in as its own annex is kept as the contract."""
    with people.begin() as conn:
        towns.add_contract(conn)
    apply(people, *(towns.keep_paper(root, scan, kind) for kind in papers.KINDS))
    with people.begin() as conn:
        assert [row["kind"] for row in papers.of(conn, APPLICATION)] == ["contract"]


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_paper_that_changed_decides_nothing(applied, root, how):
    """Neither a draft nor a signed review goes on with a paper that changed; both hashes are
    named, and nothing is written."""
    act = applied.signed(draft(applied, root))
    path = root / papers.place(SHA256)
    other = hashlib.sha256(b"forged").hexdigest()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(b"forged")
    words = f"HT.pdf was handed in with SHA-256 {SHA256}, what is kept has "
    words += "none: it is missing" if how == "missing" else other
    before = head(applied)
    with pytest.raises(NotAllowed, match=words):
        accept(applied, act, root)
    with pytest.raises(NotAllowed, match=words):
        draft(applied, root)
    assert head(applied) == before
    with applied.begin() as conn:
        found = audit.findings(audit.Books(conn, applied.archive, POLICY, root))
    assert [(f.rule, f.subject) for f in found] == [("papers", f"application {APPLICATION}")]


@pytest.mark.parametrize("reviewed", [False, True])
def test_another_paper_does_not_take_its_place(applied, root, scan, reviewed):
    """A contract that is handed in again with another paper is refused with both hashes."""
    if reviewed:
        assert accept(applied, applied.signed(draft(applied, root)), root) == f"{ACCOUNT}-1"
    before = head(applied)
    scan.write_bytes(b"another")
    other = towns.keep_paper(root, scan, "contract")
    state = "confirmed" if reviewed else "handed in"
    words = f"was {state} with a paper of SHA-256 {SHA256}, this one has {other.sha256}"
    with pytest.raises(NotAllowed, match=words):
        apply(applied, other)
    assert head(applied) == before


def test_a_contract_has_one_category(applied, root, scan):
    """The same contract in another category is refused with the clause, and nothing is written."""
    before = head(applied)
    kept = towns.keep_paper(root, scan, "contract")
    with pytest.raises(
        NotAllowed, match=f"{CONTRACT}: {APPLICATION} is for general, not joint_national; one con"
    ):
        apply(applied, kept, category="joint_national", project="P-1")
    assert head(applied) == before


def test_papers_are_covered_by_the_hash(applied):
    """The row of a paper belongs to the application's own entry, which the regulator signs for."""
    with applied.begin() as conn:
        [seq] = conn.execute(select(schema.paper.c.seq)).scalars()
        assert seq == conn.execute(select(schema.application.c.seq)).scalar()
