"""A statement as pages, as a spreadsheet and as comma-separated values says the same."""

import delivery
import pytest
import readingback
from delivery import LINES, invoice
from openpyxl import load_workbook
from sqlalchemy import text
from town import ACCOUNT, CONTRACT, Town, stamp

from accounting.book import ledger, signing
from accounting.errors import InvalidInput, InvariantBroken
from accounting.forms import statement
from accounting.forms.paper import Kind, Paper, shown
from accounting.settle import invoicing, refunding

NOVEMBER = f"S-{ACCOUNT}-2024-11"


def paper(town: Town, statement_id: str = NOVEMBER) -> Paper:
    """Describe a statement's paper."""
    with town.begin() as conn:
        return statement.paper(conn, statement_id, town.policy)


def said(described: Paper) -> dict[str, str]:
    """Return the head of a paper as people read it, by name."""
    return {field.name: shown(field.value, field.kind) for field in described.fields}


def test_by_hand(town: Town) -> None:
    """280.00 yuan of which the voucher bears half stand there in digits and in capitals, with who
    settles what with whom, the invoice and its tax."""
    delivery.november(town)
    invoice(town, "2024-11", "24512000000000012345")
    described = paper(town)
    found = said(described)
    assert found["结算费用"] == "280.00"
    assert found["结算费用（大写）"] == "人民币贰佰捌拾元整"
    assert found["算力券抵扣"] == found["单位自付"] == found[f"抵扣自 {ACCOUNT}-1"] == "140.00"
    assert found["单位自付（大写）"] == "人民币壹佰肆拾元整"
    assert (found["合同编号"], found["算力券账户"]) == (CONTRACT, ACCOUNT)
    assert (found["供给方"], found["需求方"]) == ("成都智算中心", "sichuan-vision 有限公司")
    assert len(found["统一社会信用代码"]) == 18
    assert found["发票号码"] == "24512000000000012345"
    taxed = [found[name] for name in ("价税合计", "不含税金额", "税额（税率 6.00%）")]
    assert taxed == ["140.00", "132.08", "7.92"]
    [table] = described.tables
    assert [row[-3:] for row in table.rows] == [(20000, 10000, 10000), (8000, 4000, 4000)]
    assert described.seals == ("供给方（盖章）", "需求方（盖章）")


def test_every_form_says_the_same(town: Town, tmp_path) -> None:
    """Pages, spreadsheet and comma-separated values have the head, rows and sums of the paper."""
    delivery.november(town)
    readingback.in_all_forms(paper(town), tmp_path)


def test_a_refund_and_its_red_invoice(town: Town, tmp_path) -> None:
    """A statement that gives back says so below zero in every form, with its refund and the
    red-letter invoice."""
    delivery.november(town)
    invoice(town, "2024-11", "F-1")
    of = delivery.yuan(1, 200, qos="a")
    key = (of.cluster, of.job_id, of.submit_s, of.start_s)
    at = stamp(delivery.DECEMBER)
    refunding.refund(town.engine, town.archive, key, "lost", town.policy, at)
    delivery.close(town, "2024-12")
    december = f"S-{ACCOUNT}-2024-12"
    with town.begin() as conn:
        later = stamp(delivery.JANUARY)
        invoicing.record_red(conn, december, "F-2", None, town.policy, later)
    described = paper(town, december)
    found = said(described)
    assert found["结算费用（大写）"] == "人民币负贰佰元整"
    assert (found["红字发票号码"], found["价税合计"]) == ("F-2", "-100.00")
    [table] = described.tables
    assert table.columns[-1].name == "退费编号"
    readingback.in_all_forms(described, tmp_path)


def test_it_names_its_entry_and_the_signed_head(town: Town) -> None:
    """A statement carries the whole hash of its entry; once a head is signed that covers it, that
    too."""
    delivery.november(town)
    with town.begin() as conn:
        [(seq,)] = conn.execute(text("SELECT seq FROM statement")).all()
        own = ledger.hash_of(conn, seq)
    assert any(own in note and f"第 {seq} 号" in note for note in paper(town).notes)
    assert paper(town).notes[-1] == "链头签名：尚无"
    with town.begin() as conn:
        head = ledger.head(conn)
        signing.anchor(conn, town.keys["system"], "2024-12-06", stamp(delivery.DECEMBER))
    note = paper(town).notes[-1]
    assert f"第 {head[0]} 号，{head[1]}" in note
    assert town.keys["system"]["key"] in note


def test_a_rehearsal_is_stamped(town: Town, tmp_path) -> None:
    """Of a rehearsal every page, every sheet and the first line says so; of no other book."""
    delivery.november(town)
    for rehearsal in (False, True):
        described = paper(town)
        described = type(described)(**(described.__dict__ | {"rehearsal": rehearsal}))
        written = readingback.in_all_forms(described, tmp_path)
        marked = [
            *("演练" in page for page in readingback.pages(written[".pdf"])),
            "演练" in readingback.commas(written[".csv"])[0][0],
            *("演练" in str(s.oddHeader.center.text) for s in load_workbook(written[".xlsx"])),
        ]
        assert set(marked) == {rehearsal}


def test_the_same_paper_is_the_same_bytes(town: Town, tmp_path) -> None:
    """What is written twice of one statement is the same file, in every form."""
    delivery.november(town)
    once = {f: p.read_bytes() for f, p in readingback.in_all_forms(paper(town), tmp_path).items()}
    assert {
        f: p.read_bytes() for f, p in readingback.in_all_forms(paper(town), tmp_path).items()
    } == once


def test_what_does_not_add_up_is_not_written(town: Town) -> None:
    """A statement whose lines do not come to its fee is refused, with both figures."""
    delivery.november(town)
    with town.begin() as conn:
        if conn.dialect.name == "postgresql":
            conn.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for (name,) in conn.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                conn.execute(text(f'DROP TRIGGER "{name}"'))
        change = "UPDATE statement_line SET fee_fen = fee_fen + 1, cash_fen = cash_fen + 1"
        conn.execute(text(f"{change} WHERE id = '{LINES[0]}'"))
        with pytest.raises(InvariantBroken, match="come to 28001 in 结算费用（元）, the book has"):
            statement.paper(conn, NOVEMBER, town.policy)


def test_no_such_statement(town: Town) -> None:
    """An unknown statement is refused in words."""
    with pytest.raises(InvalidInput, match="S-X"):
        paper(town, "S-X")


def test_kinds_have_the_decimals_they_say() -> None:
    """Each kind of number is printed with its decimals; what is not known is a dash, not a zero."""
    values = {
        Kind.COUNT: "1,234,567",
        Kind.YUAN: "12,345.67",
        Kind.MICRO: "1.234567",
        Kind.PERCENT: "12,345.67%",
        Kind.PFLOPS_H: "123.4567",
    }
    assert {kind: shown(1_234_567, kind) for kind in values} == values
    assert [shown(None, kind) for kind in Kind] == ["—"] * len(Kind)
