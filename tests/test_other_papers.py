"""Certificate, claim summary, registers and the programme's report say what the book says."""

import json

import delivery
import pytest
import readingback
import town as towns
from delivery import JANUARY, draw, grant, invoice, open_claim, pay_out, review, submit
from homes import Home, an_account, furnished, one_line
from pypdf import PdfReader
from town import NOW, OTHER_PROVIDER, POLICY, PROVIDER, UNIT, VOUCHER, Town, instant

from accounting.book import ledger, signing
from accounting.errors import InvalidInput, NotAllowed
from accounting.forms import claim, programme, registers, voucher
from accounting.forms.paper import Paper, shown
from accounting.vouchers import certificate

CLAIM = f"C-{PROVIDER}-2024-Q4-1"
AT = instant(JANUARY)


def said(paper: Paper) -> dict[str, str]:
    """Return the head of a paper as people read it, by name."""
    return {field.name: shown(field.value, field.kind) for field in paper.fields}


def row(paper: Paper, first: str, table: int = 0) -> dict[str, str]:
    """Return the row of a table that begins with a word, as people read it, by column."""
    of = paper.tables[table]
    [found] = [cells for cells in of.rows if cells[0] == first]
    return {c.name: shown(v, c.kind) for v, c in zip(found, of.columns, strict=True)}


@pytest.fixture
def paid(town: Town) -> Town:
    """The town after November was claimed: 100.00, which were advanced, approved and paid, a line
    of 40.00 refused."""
    delivery.november(town)
    grant(town, "500")
    invoice(town, "2024-11")
    draw(town, delivery.LINES[0])
    submit(town, open_claim(town))
    review(town, CLAIM, {delivery.LINES[1]: "no log"})
    pay_out(town, CLAIM, "CZ-1")
    return town


def certified(town: Town) -> Paper:
    """Describe the certificate of the town's voucher."""
    with town.begin() as conn:
        return voucher.paper(conn, VOUCHER, town.keys["system"], POLICY, instant(NOW))


def test_a_certificate(town: Town, tmp_path) -> None:
    """A certificate says to whom what was issued, in capitals too, with signature and head; its
    pages carry the very certificate that can be checked without the book."""
    paper = certified(town)
    with town.begin() as conn:
        head = ledger.head(conn)
    found = said(paper)
    assert found["票面金额"] == "50,000.00"
    assert found["票面金额（大写）"] == "人民币伍万元整"
    assert (found["有效期自"], found["有效期至（含）"]) == ("2024-07-01", "2024-12-31")
    assert f"第 {head[0]} 号记录，SHA-256：{head[1]}" in paper.notes[2]
    written = readingback.in_all_forms(paper, tmp_path)
    [attached] = PdfReader(written[".pdf"]).attachments["certificate.json"]
    public = {k: v for k, v in town.keys["system"].items() if k != "private"}
    assert certificate.check(json.loads(attached), public)["amount_fen"] == 5_000_000
    assert json.loads(attached)["signature"] in paper.notes[3]


def test_a_certificate_needs_the_books_key(town: Town) -> None:
    """No other key than the book's own makes a certificate."""
    with town.begin() as conn, pytest.raises(NotAllowed, match="not this book's system key"):
        voucher.paper(conn, VOUCHER, town.keys["regulator"], POLICY, instant(NOW))


def test_a_claim(paid: Town, tmp_path) -> None:
    """A claim's summary has what was claimed, approved and paid in digits and capitals, and for
    each line why less was approved."""
    with paid.begin() as conn:
        paper = claim.paper(conn, CLAIM, POLICY)
    found = said(paper)
    assert (found["申请金额"], found["核准金额"], found["拨付金额"]) == (
        "140.00",
        "100.00",
        "100.00",
    )
    assert found["核准金额（大写）"] == "人民币壹佰元整"
    assert (found["状态"], found["拨付文号"], found["其中归还备用金"]) == (
        "已拨付",
        "CZ-1",
        "100.00",
    )
    refused = row(paper, delivery.LINES[1])
    assert (refused["本次申请（元）"], refused["核准（元）"]) == ("40.00", "0.00")
    assert (refused["核减理由"], refused["发票号码"]) == ("no log", "F-2024-11")
    assert row(paper, delivery.LINES[0])["核减理由"] == "—"
    readingback.in_all_forms(paper, tmp_path)


def test_a_claim_that_is_not_decided(town: Town, tmp_path) -> None:
    """Before its review a claim has no approved figure: a dash and no zero."""
    delivery.november(town)
    invoice(town, "2024-11")
    open_claim(town)
    with town.begin() as conn:
        paper = claim.paper(conn, CLAIM, POLICY)
    assert said(paper)["状态"] == "未提交"
    assert "核准金额" not in said(paper)
    assert row(paper, delivery.LINES[0])["核准（元）"] == "—"
    readingback.in_all_forms(paper, tmp_path)


def test_the_register_of_units(paid: Town, tmp_path) -> None:
    """Each unit stands there with what it was issued, what was deducted and what is left; revenue
    that is not known is a dash."""
    with paid.begin() as conn:
        towns.add_unit(conn, "lab", kind="university", revenue_fen=None, revenue_year=None)
        paper = registers.units(conn, POLICY, AT)
    own = row(paper, UNIT)
    assert (own["合同"], own["合同金额（元）"]) == ("1", "100,000.00")
    figures = [own[name] for name in ("已发放（元）", "已抵扣（元）", "余额（元）")]
    assert figures == ["50,000.00", "140.00", "49,860.00"]
    assert (own["营收年度"], own["主营业务收入（元）"]) == ("2023", "20,000,000.00")
    lab = row(paper, "lab")
    assert (lab["类别"], lab["营收年度"], lab["主营业务收入（元）"]) == ("高校", "—", "—")
    assert lab["状态"] == "正常"
    readingback.in_all_forms(paper, tmp_path)


def test_the_register_of_providers(paid: Town, tmp_path) -> None:
    """A provider's deductions are where they stand: they come to unclaimed, under review, to be
    paid, disputed and paid."""
    with paid.begin() as conn:
        paper = registers.providers(conn, POLICY, AT)
    own = row(paper, PROVIDER)
    stages = ("未申请（元）", "审核中（元）", "待拨付（元）", "争议（元）", "已拨付（元）")
    assert [own[name] for name in stages] == ["0.00", "0.00", "0.00", "40.00", "100.00"]
    assert (own["结算费用（元）"], own["算力券抵扣（元）"], own["备用金（元）"]) == (
        "280.00",
        "140.00",
        "500.00",
    )
    assert row(paper, OTHER_PROVIDER)["结算费用（元）"] == "0.00"
    readingback.in_all_forms(paper, tmp_path)


def test_the_programme(paid: Town, tmp_path) -> None:
    """A year's report has the limit and what is issued of it, what became of the vouchers, the
    months and the claims, each table adding up."""
    with paid.begin() as conn:
        paper = programme.paper(conn, 2024, POLICY, AT)
        empty = programme.paper(conn, 2023, POLICY, AT)
    limit = row(paper, "一般")
    assert list(limit.values())[1:] == ["10,000,000.00", "50,000.00", "9,950,000.00", "0.50%"]
    used = row(paper, "一般", 1)
    assert list(used.values())[1:] == ["1", "50,000.00", "140.00", "0.00", "0.00", "49,860.00"]
    sums = paper.tables[1].sums
    assert sums[2] == sums[3] + sums[4] + sums[5] + sums[6]
    month = row(paper, "2024-11", 2)
    assert list(month.values())[1:] == ["1", "280.00", "140.00", "140.00"]
    assert list(row(paper, CLAIM, 3).values())[3:] == ["140.00", "100.00", "100.00"]
    readingback.in_all_forms(paper, tmp_path)
    assert [table.title for table in empty.tables] == ["年度额度"]
    readingback.in_all_forms(empty, tmp_path)


def test_registers_are_as_of_the_head(town: Town) -> None:
    """A register says up to which entry it goes, and the last head that was signed."""
    with town.begin() as conn:
        signing.anchor(conn, town.keys["system"], "2024-07-02", towns.stamp())
        head = ledger.head(conn)
        paper = registers.units(conn, POLICY, AT)
    assert f"截至账簿第 {head[0]} 号记录，SHA-256：{head[1]}" in paper.notes
    assert "链头签名：2024-07-02" in paper.notes[1]


def test_no_such_paper(town: Town) -> None:
    """What is not in the book has no paper."""
    with town.begin() as conn:
        with pytest.raises(InvalidInput, match="claim C-X: not in the book"):
            claim.paper(conn, "C-X", POLICY)
        with pytest.raises(InvalidInput, match="voucher X: not in the book"):
            voucher.paper(conn, "X", town.keys["system"], POLICY, AT)


def test_by_command(tmp_path) -> None:
    """Registers and the programme's report are written by command, the report also shown; a
    rehearsal's are stamped."""
    home = furnished(tmp_path / "home")
    an_account(home)
    out = tmp_path / "out"
    out.mkdir()
    home.ok("unit", "export", "--to", str(out / "units.csv"))
    home.ok("provider", "export", "--to", str(out / "providers.csv"))
    home.ok("report", "programme", "--to", str(out / "programme.csv"))
    for name in ("units", "providers", "programme"):
        assert "演练" in readingback.commas(out / f"{name}.csv")[0][0]
    shown_rows = json.loads(home.ok("report", "programme", "--year", "2026", "--json"))
    assert shown_rows == [
        {
            "categories": "一般",
            "limit": "10,000,000.00",
            "issued": "0.00",
            "left": "10,000,000.00",
            "used": "0.00%",
            "counted": "by day of issue, as of now",
        }
    ]
    again = ("report", "programme", "--to", str(out / "programme.csv"))
    one_line(home.run(*again), 3, "is there already", "--force")
    home.ok(*again, "--force")


def test_an_unknown_claim_by_command(tmp_path) -> None:
    """An unknown claim or voucher is one line, and no file."""
    home = Home(tmp_path / "home")
    home.ok("init", "--rehearsal")
    home.ok("key", "make", str(tmp_path / "system.key"), "--actor", "book", "--role", "system")
    home.ok("key", "trust", str(tmp_path / "system.key.pub"))
    to = ("--to", str(tmp_path / "x.pdf"))
    one_line(home.run("claim", "export", "C-X", *to), 3, "claim C-X: not in the book")
    key = ("--key", str(tmp_path / "system.key"))
    one_line(home.run("voucher", "export", "X", *key, *to), 3, "voucher X: not in the book")
    assert not (tmp_path / "x.pdf").exists()
