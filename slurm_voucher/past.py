"""What is told of runs that have ended: from the archive, with what each was charged and why.

It loads Arrow: who answers users has it done by a process of its own (`main`).
"""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from accounting import period
from accounting import policy as policies
from accounting.book import ledger
from accounting.errors import InvalidInput
from accounting.money import yuan, yuan_micro
from accounting.period import clock
from accounting.policy import Policy, states_of
from accounting.rates import explaining, pricelists, rating
from accounting.runs import picking, places, usage
from accounting.runs.run import Run
from accounting.settle import own, refunding, shares
from accounting.settle.own import Asked, Runs
from accounting.vouchers import holds
from slurm_voucher import aside, present
from slurm_voucher.config import Config
from slurm_voucher.present import Row

NICE = 10
"""By how much others come before whoever reads the archive for users."""
WARM_S = 1
LISTED = ("job", "partition", "user", "state", "elapsed_s", "gres", "charge_micro", "reason")
"""What `jobs` tells of a run, beside what it is known by."""
SHARED_MAX = 1_000_000
"""How many runs a month of an account's segments may have for a run's own part of the statement to
be worked out for its user: that takes all of them."""


def jobs(runs: Runs, policy: Policy) -> list[Row]:
    """Tell of runs what they were charged, and on which statement."""
    listed = zip(runs.rows.to_pylist(), runs.statement, strict=True)
    return [_row(row, statement, policy) for row, statement in listed]


def _row(row: Mapping[str, Any], statement: str | None, policy: Policy) -> Row:
    unknown = row["status"] == rating.UNRATED
    return present.row(
        job=row["job"],
        cluster=row["cluster"],
        partition=row["partition"],
        user=row["user"],
        state=row["state"],
        ended=clock(row["end_s"], policy.timezone),
        elapsed_s=row["elapsed_s"],
        gres=row["gres"],
        account=row["account"],
        status=row["status"],
        charge=None if unknown else yuan_micro(row["charge_micro"]),
        statement=statement,
        reason=row["reason"],
    )


def _on(row: Mapping[str, Any], statement: str | None, many: int) -> str:
    return (
        f"voucher account {row['account']}: on statement {statement}; its own part is one of"
        f" {many} runs', which the operator's svoucher explain works out"
    )


class Explainer:
    """Explains charges: each computed again from what the archive has of a run."""

    def __init__(
        self, conn: Connection, config: Config, policy: Policy, shared_max: int | None = None
    ) -> None:
        """Take the most runs of a month of which a run's own part is worked out; None: any."""
        self._conn, self._config, self._policy = conn, config, policy
        self._shared_max = shared_max

    def explain(self, runs: Runs) -> list[Row]:
        """Tell of each run every factor of its charge, the price in force, and the clause."""
        listed = zip(usage.runs(runs.rows), runs.rows.to_pylist(), runs.statement, strict=True)
        return [self._explained(*each) for each in listed]

    def _explained(self, run: Run, row: Mapping[str, Any], statement: str | None) -> Row:
        conn, account = self._conn, row["account"]
        prices = (
            pricelists.nothing(self._policy.timezone)
            if row["tariff"] == pricelists.NO_TARIFF
            else pricelists.loaded(conn, row["tariff"])
        )
        window = holds.validity(conn, account) if account else None
        discount = pricelists.discount_of(conn, prices, account)
        found = explaining.explain(run, prices, states_of(self._policy), window, discount)
        share, many = None, self._too_many(row) if statement else 0
        if account and not many:
            known = (run, row["revision"], account, self._policy)
            share = shares.of_run(conn, self._config.archive, *known)
        who = self._borne(run, row, share)
        if many:
            who = iter([_on(row, statement, many)])
        said = [*found.lines(), *who, self._rules(run, share)]
        return _row(row, statement, self._policy) | {
            "eligible": yuan_micro(row["eligible_micro"]) if account else None,
            "tariff": row["tariff"],
            "line": share.line if share else None,
            "fee": yuan(share.fee_fen) if share else None,
            "voucher_part": yuan(share.deduction_fen) if share else None,
            "own_part": yuan(share.fee_fen - share.deduction_fen) if share else None,
            "said": "\n".join(said),
        }

    def _too_many(self, row: Mapping[str, Any]) -> int:
        """Return how many runs would have to be read for a run's own part; 0: they may be."""
        if self._shared_max is None:
            return 0
        month = period.month_of(row["end_s"], self._policy.timezone)
        count = own.beside(self._conn, row["account"], month)
        return count if count > self._shared_max else 0

    def _borne(self, run: Run, row: Mapping[str, Any], share: shares.Share | None) -> Iterator[str]:
        """Say who pays, and on which line of which statement."""
        account = row["account"]
        if account is None:
            yield "no voucher account: charged to nobody"
        elif share is not None:
            borne = "".join(f"voucher {name} {yuan(n)} + " for name, n in share.borne_fen.items())
            borne = borne or f"voucher {yuan(share.deduction_fen)} + "
            yield (
                f"voucher account {account}, statement line {share.line}: fee"
                f" {yuan(share.fee_fen)} ="
                f" {borne}cash {yuan(share.fee_fen - share.deduction_fen)}"
            )
        elif said := self._refund(run):
            yield said
        elif row["status"] != rating.CHARGED:
            yield f"voucher account {account}: nothing to share"
        else:
            yield (
                f"voucher account {account}: accrued, or on a statement with corrections, which is"
                " net and not the sum of runs"
            )

    def _rules(self, run: Run, share: shares.Share | None) -> str:
        policy = self._policy
        how = policy.states.get(run.state)
        rules = "rating.states" + (f".{how}" if how else "") + (", deduct.ratio" if share else "")
        return f"by policy {policy.name} ({policy.source}): {rules}"

    def _refund(self, run: Run) -> str:
        """Say that a run was refunded, and where its credit stands; nothing if it was not."""
        key = (run.cluster, run.job_id, run.submit_s, run.start_s)
        found = refunding.of_run(self._conn, key)
        if found is None:
            return ""
        said = f"voucher account {found['account']}: refunded by {found['id']} ({found['reason']})"
        if found["line"] is None:
            return f"{said}; it was on no statement, and nothing was deducted for it"
        credit = f"credited on line {found['credit']}" if found["credit"] else "to be credited"
        return (
            f"{said}; recorded on line {found['line']} was fee {yuan(found['fee_fen'])} = voucher "
            f"{yuan(found['deduction_fen'])} + cash "
            f"{yuan(found['fee_fen'] - found['deduction_fen'])}, {credit}"
        )


class Reader:
    """Reads one site's archive for its users."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine = ledger.connect(config.book)
        with ledger.reading(self._engine).begin() as conn:
            name, text = ledger.document(conn, "policy")
        self._policy = policies.load(text, f"policy {name}")

    def jobs(
        self, cluster: str, uid: int, ended: tuple[int, int], account: str | None, most: int
    ) -> tuple[list[Row], bool]:
        """Tell of a user's runs that ended in some time, and whether there are more."""
        root, zone = self._config.archive, self._policy.timezone
        asked = Asked(uid, ended, account, cluster, most)
        with ledger.reading(self._engine).begin() as conn:
            runs, more = own.ended(conn, root, asked, zone, LISTED)
        return jobs(runs, self._policy), more

    def explain(self, cluster: str, job: str, uid: int) -> tuple[list[Row], bool]:
        """Explain the runs of a job that are a user's; and whether somebody else's are there."""
        root, zone = self._config.archive, self._policy.timezone
        with ledger.reading(self._engine).begin() as conn:
            runs, others = own.of_job(conn, root, job, zone, uid, cluster)
            explainer = Explainer(conn, self._config, self._policy, SHARED_MAX)
            return explainer.explain(runs), others

    def warm(self) -> bool:
        """Get to know what is in the archive's files, for a while; tell whether there is more."""
        until = time.monotonic() + WARM_S
        with ledger.reading(self._engine).begin() as conn:
            files = places.files(conn)
        for file in reversed(files):
            for group in picking.groups_of(self._config.archive, file):
                picking.users_of(self._config.archive, file, group.number)
                if time.monotonic() > until:
                    return True
        return False


def main() -> None:
    """Answer voucherd's questions: (settings, what is asked, its arguments)."""
    os.nice(NICE)
    reader: Reader | None = None

    def answer(question: tuple[Config, str, tuple[Any, ...]]) -> object:
        nonlocal reader
        config, ask, arguments = question
        reader = reader or Reader(config)
        match ask:
            case "jobs":
                return reader.jobs(*arguments)
            case "explain":
                return reader.explain(*arguments)
            case "warm":
                return reader.warm()
        raise InvalidInput(f"archive: {ask!r} is no question; voucherd is of several releases")

    aside.serve(answer)
