"""svoucher itself: bad input is one clear line and an exit code, and nothing is half written."""

import json

import pytest
from fakeslurm import ROWS, FakeSlurm, row
from homes import GOOD, HEADER, PRICES, ROOT, XDMOD, Home, an_account, furnished, one_line

from accounting import policy
from slurm_voucher import listening


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book with prices."""
    return furnished(tmp_path / "home")


def test_a_book_that_is_not_there(tmp_path) -> None:
    """Without a book every command says where it looked and how to make one."""
    one_line(Home(tmp_path).run("balance"), 4, "book.db", "not there", "svoucher init")


def test_a_second_book_in_the_same_place(home: Home) -> None:
    """init never overwrites a book."""
    one_line(home.run("init"), 3, "there is one already")


def test_an_unknown_key_in_the_settings(home: Home) -> None:
    """An unknown key of config.yaml is named, with the one that was meant."""
    (home.path / "config.yaml").write_text("sokcet: /run/x.sock\n")

    done = home.run("balance")
    one_line(done, 3, "config.yaml", "'sokcet'", "did you mean 'socket'?")


def test_a_socket_path_that_is_too_long(home: Home) -> None:
    """A socket's path that the kernel could not take is refused with its length and the limit."""
    (home.path / "config.yaml").write_text(f"socket: /run/{'x' * 120}.sock\n")
    one_line(home.run("balance"), 3, "130 bytes", "103")


def test_voucherd_not_running(home: Home) -> None:
    """check says that voucherd does not answer, and how to start it; it is worth trying again."""
    (home.path / "config.yaml").write_text(f"socket: {home.path}/hook.sock\n")
    done = home.run("check")
    assert done.exit_code == 4
    assert "voucherd  FAIL" in done.output
    assert "svoucher serve" in done.output


def test_an_unknown_key_in_a_price_list(home: Home, tmp_path) -> None:
    """An unknown key of a price list is named with its place, and nothing is loaded."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("provider: cdaicc", "providr: cdaicc"))
    before = home.entries()
    one_line(home.run("price", "load", str(file)), 3, "providr", "did you mean 'provider'?")
    assert home.entries() == before


def test_a_discount_for_nobody_is_said(home: Home, tmp_path) -> None:
    """A discount whose contract or unit is not in the book is loaded, and said to be for nobody."""
    account, file = an_account(home), tmp_path / "prices.yaml"
    text = PRICES.read_text().replace("# discounts:", "discounts:").replace("#   CD26", "  CD26")
    said = {}
    for name in (account, "CD26-0099"):
        file.write_text(text.replace("example-1", name).replace("CD26-0001:", f"{name}:"))
        said[name] = home.ok("price", "load", str(file))

    assert "discount" not in said[account]
    assert "discount CD26-0099: no contract in the book has it yet" in said["CD26-0099"]


def test_a_gres_without_a_catalogue_entry(home: Home, tmp_path) -> None:
    """A gres that is mapped to a chip which the catalogue does not have is refused by name."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("ascend_910b2", "ascend_911"))
    one_line(home.run("price", "load", str(file)), 3, "ascend_911")


def test_prices_are_never_edited(home: Home, tmp_path) -> None:
    """A version that is loaded cannot be loaded with other prices."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("24.00", "25.00"))
    one_line(home.run("price", "load", str(file)), 1, "tariff example-1", "other prices")


BAD_ROWS = {
    "a field too few": (GOOD.removesuffix("|"), "fields"),
    "a time that is no time": (GOOD.replace("T01:00:00", "T25:00:00"), "End"),
    "an end before the start": (GOOD.replace("2016-12-01T01", "2016-11-01T01"), "End"),
    "a negative elapsed": (GOOD.replace("3600", "-3600"), "ElapsedRaw"),
    "an end that nobody lives to see": (GOOD.replace("2016-12-01T01", "9999-12-01T01"), "End"),
    "an end in epoch seconds of far away": (GOOD.replace("2016-12-01T01:00:00", "9" * 11), "End"),
    "another cluster": (GOOD.replace("pozidriv", "elsewhere"), "Cluster"),
}


@pytest.mark.parametrize(("row", "column"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_are_named_and_nothing_is_taken_in(home, tmp_path, row: str, column: str) -> None:
    """A bad row names file, line and column; without --skip-bad no row is taken in."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\n{row.replace('7|7', '8|8', 1)}\n")
    before = home.entries()
    done = home.run("import", str(file), "--cluster", "pozidriv")

    assert done.exit_code == 3
    first, last = done.stderr.strip().splitlines()
    assert "rows.psv" in first
    assert "line 3" in first
    assert column in first
    assert "--skip-bad" in last
    assert home.entries() == before
    assert not list((home.path / "archive").rglob("*.parquet"))


def test_skip_bad_takes_the_good_rows(home: Home, tmp_path) -> None:
    """With --skip-bad the good rows are taken in and the bad ones are still listed."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\nnonsense\n")
    done = home.run("import", str(file), "--cluster", "pozidriv", "--skip-bad")

    assert done.exit_code == 0
    assert "line 3" in done.stderr
    assert "1 new" in done.stdout


def test_missing_columns_are_named_at_once(home: Home) -> None:
    """A file without start and end times is refused with the names of what is missing."""
    file = ROOT / "tests" / "data" / "ood" / "psc-bridges-2018.psv"
    one_line(home.run("import", str(file), "--cluster", "bridges"), 3, "Start", "End")


def test_an_unknown_partition_is_unrated_and_blocks_the_close(home: Home, tmp_path) -> None:
    """A run on a partition without a price is unrated by name, never free; the month stays open."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD.replace('pozidriv', 'chengdu').replace('any', 'new')}\n")
    home.ok("provider", "add", "cdaicc", "成都智算中心")
    said = home.ok("import", str(file), "--cluster", "chengdu")
    closed = home.run("--as-of", "2017-02-01", "close", "2016-12", "--provider", "cdaicc")

    assert "1 of them unrated" in said
    one_line(closed, 1, "1 runs are unrated", "chengdu/new")


def test_wrong_usage_is_exit_2(home: Home) -> None:
    """A month that is no month is wrong usage."""
    assert home.run("close", "2026-13", "--provider", "cdaicc").exit_code == 2


def test_as_of_is_refused_outside_a_rehearsal(tmp_path) -> None:
    """A book that counts has today's date."""
    home = Home(tmp_path / "home")
    home.ok("init")
    done = home.run("--as-of", "2030-01-01", "provider", "add", "cdaicc", "x")
    one_line(done, 1, "no rehearsal")


def test_pozidriv_by_the_command(home: Home) -> None:
    """The public cluster's usage by the command equals what its own portal reports."""
    fields = f"@{XDMOD / 'HEADER.txt'}"
    file = str(XDMOD / "pozidriv.psv.gz")
    home.ok("import", file, "--cluster", "pozidriv", "--fields", fields, "--timezone", "UTC")
    expected = json.loads((XDMOD / "pozidriv.expected.json").read_text())["values"]
    for by in ("day", "month", "quarter", "year"):
        shown = home.ok(
            "report", "usage", "--cluster", "pozidriv", "--by", by, "--timezone", "UTC", "--json"
        )
        rows = json.loads(shown)
        assert {row["period"]: row["cpu_hours"] for row in rows} == {
            name.replace(" ", "-"): hours for name, hours in expected["cpu_hours"][by].items()
        }
        assert {row["card_hours"] for row in rows} == {"0.0000"}
    again = home.ok("import", file, "--cluster", "pozidriv", "--fields", fields)
    assert "0 new, 0 changed, 11704 known" in again


@pytest.mark.parametrize(
    ("options", "fee"),
    [("-N 2", "16.14"), ("-n 64", "16.14"), ("--mem=5G", "4.04"), ("--mem=0", "8.07")],
)
def test_quote_counts_nodes_and_memory(home: Home, tmp_path, monkeypatch, options, fee) -> None:
    """A quote is for the most nodes that a job can get, for all memory where none is named, and
    for the half minute until slurmctld sees that it is over its limit."""
    monkeypatch.setenv("PATH", f"{FakeSlurm(tmp_path / 'slurm').folder}:/usr/bin:/bin")
    prices = tmp_path / "shares.yaml"
    prices.write_text(
        "{tariff: s-1, chips: 2024-07, timezone: Asia/Shanghai, clusters: {chengdu: {partitions: "
        "{ai: {provider: cdaicc, footprint: max_share, node: {cpus: 192, mem_gb: 10}, "
        'prices: [{from: 2023-07-01, yuan_per_node_hour: "8.00"}]}}}}}'
    )
    home.ok("price", "load", str(prices))

    assert f"at most {fee} yuan" in home.ok("quote", "-p", "ai", "-t", "60", *options.split())


@pytest.mark.parametrize(
    ("hosts", "exit_code", "said"),
    [
        ("", 0, "slurm     ok    cluster chengdu"),
        ("SlurmctldHost[0] = a\nSlurmctldHost[1] = b\n", 3, "2 SlurmctldHosts, SQLite serves 1"),
    ],
)
def test_check_of_a_backup_controller(
    home: Home, tmp_path, monkeypatch, hosts: str, exit_code: int, said: str
) -> None:
    """A book in SQLite is refused where slurmctld has a backup."""
    slurm = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{slurm.folder}:/usr/bin:/bin")
    config = slurm.folder / "config.txt"
    config.write_text(hosts + config.read_text())
    monkeypatch.setattr(listening, "ask", lambda *_: {})
    done = home.run("check")

    assert said in done.output
    assert done.exit_code == exit_code


def test_status(home: Home, monkeypatch) -> None:
    """status shows voucherd's figures and what is held; without voucherd it says so."""
    (home.path / "config.yaml").write_text(f"socket: {home.path}/hook.sock\n")
    one_line(home.run("status"), 4, "svoucher serve")
    monkeypatch.setattr(listening, "ask", lambda *_: {"asked": "7", "missed": "2"})
    rows = json.loads(home.ok("status", "--json"))

    assert {row["what"]: row["figure"] for row in rows} == {
        "questions since voucherd was started": "7",
        "refused": "0",
        "no answer because of the book": "0",
        "mistakes of voucherd, see its log": "0",
        "questions that the hook had no answer to": "2",
        "changes of holds that wait for the book": "0",
        "waiting jobs that their voucher did not cover and that go on as self-pay": "0",
        "running jobs that were ended, as the site says of their account": "0",
        "seconds since the last look at the queue": "unknown",
        "holds": "0",
        "held": "0.000000",
    }


def test_jobs_that_were_let_in_without_an_answer(home: Home, tmp_path, monkeypatch) -> None:
    """holds --unsecured lists jobs that say so, by account, and what is held for them: nothing."""
    slurm = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{slurm.folder}:/usr/bin:/bin")
    first, *_ = ROWS
    comments = {"1": "held=?", "2": "held=wait", "3": "held=5"}
    slurm.queue(
        *(
            row(first, admin_comment=f"voucher=CD24-000{n};hold={n * 32};{held}")
            | {"job_id": int(n)}
            for n, held in comments.items()
        )
    )
    rows = json.loads(home.ok("holds", "--unsecured", "--json"))

    assert [(each["hold"][0], each["account"], each["held"]) for each in rows] == [
        ("1", "CD24-0001", None),
        ("2", "CD24-0002", None),
    ]
    assert {each["state"] for each in rows} == {"waiting"}
    assert json.loads(home.ok("holds", "CD24-0002", "--unsecured", "--json")) == rows[1:]
    slurm.fails("squeue")
    one_line(home.run("holds", "--unsecured"), 4, "squeue")


def test_quote_of_memory_that_is_none(home: Home) -> None:
    """What is no size of memory is wrong usage."""
    done = home.run("quote", "--mem=much")

    assert done.exit_code == 2
    assert "'much' is no size of memory" in done.stderr


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ("COMPLETED", "rating.states.charged"),
        ("NODE_FAIL", "rating.states.free"),
        ("REVOKED", "rating.states.no_run"),
        ("UNHEARD_OF", "rating.states"),
    ],
)
def test_explain_names_the_rules_that_decided(home: Home, tmp_path, state: str, rule: str) -> None:
    """An explanation ends with the place in the policy, and before it the price's, if one did."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD.replace('COMPLETED', state)}\n")
    home.ok("import", str(file), "--cluster", "pozidriv")
    shown = home.ok("explain", "7").splitlines()

    assert shown[-1] == f"by policy chengdu-2023 (成经信办〔2023〕20号): {rule}"
    by_price = "by tariff example-1: clusters.pozidriv.partitions.*.prices[0]"
    assert (by_price in shown) == (state == "COMPLETED")


def test_a_run_that_came_before_any_price_is_explained(tmp_path) -> None:
    """A run that was taken in while no price list was loaded is unrated, and explain says so."""
    home = Home(tmp_path / "home")
    home.ok("init", "--rehearsal")
    (tmp_path / "usage.psv").write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(tmp_path / "usage.psv"), "--timezone", "UTC")

    assert "unrated: partition pozidriv/any is not in tariff none" in home.ok("explain", "7")


def test_a_policy_whose_example_comes_out_otherwise_is_refused(home: Home, tmp_path) -> None:
    """policy check works the examples out, and says of the first what the rules give."""
    good = tmp_path / "good.yaml"
    good.write_text(policy.builtin("henan-2025"), encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.read_text(encoding="utf-8").replace('gives: "66.67"', 'gives: "66.68"'))

    assert "3 examples come out as worked" in home.ok("policy", "check", str(good))
    one_line(home.run("policy", "check", str(bad)), 3, "examples[1]: gives 66.67; mend")
    assert home.ok("policy", "show", "henan-2025") == good.read_text(encoding="utf-8")


def test_an_application_is_explained_by_its_clauses(home: Home) -> None:
    """policy explain shows each step to the figure, with the key and the clause that gave it."""
    account = an_account(home)
    home.ok("unit", "revenue", "shuzhi", "2025", "20,000,000")
    paper = home.path / "contract.pdf"
    paper.write_bytes(b"%PDF")
    at = ("--as-of", "2026-11-22")
    home.ok(*at, "apply", "HT-1", "--category", "general", "--paper", str(paper))
    rows = json.loads(home.ok(*at, "policy", "explain", f"A-{account}", "--json"))

    assert [(row["key"], row["clause"][:3]) for row in rows[:2]] == [
        ("categories.general.ratio", "[S]"),
        ("issue.caps.0", "[S]"),
    ]
    assert rows[0]["gives"] == "50% of 200,000.00 is 100,000.00"
    assert rows[-1]["gives"] == "100,000.00"
