"""What a run is: one row of Slurm's accounting.

A run is known by its key (cluster, job_id, submit_s, start_s). Times are epoch seconds UTC.
Nothing is priced here, and nothing here needs Arrow: who prices one run does not wait for it.
"""

import re
from dataclasses import dataclass

CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a cluster may be called: its name is that of a folder of the archive."""

PARTS = frozenset({"shard", "mps"})
"""Names of gres that are parts of cards, which Slurm counts itself."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run that has ended, as Slurm accounts for it.

    Attributes:
        cluster: Name of the cluster.
        job_id: Slurm's own number (JobIDRaw); tasks of an array have one each.
        job: The job as people see it: 16, 16_2, 17+0.
        submit_s: Submit; of a resized or requeued run the instant of that.
        start_s: None: it never started.
        end_s: End, >= start.
        billed_from_s: Where charging begins: the start, or the submit where an earlier part of
            the same job, resized, was accounted for up to there. None: it never started.
        elapsed_s: ElapsedRaw, >= 0: the seconds from start to end that it did not stand
            suspended. Those before billed_from_s are in it: `billable_s` is without them.
        suspended_s: The rest of the seconds from start to end, >= 0.
        state: First word only: CANCELLED, not CANCELLED by 1001.
        uid: None: not recorded.
        mem_mb: Allocated memory. None: not tracked.
        cards: Allocated whole cards, without PARTS; typed and untyped gres are never added.
        gres: Allocated cards and parts of cards by kind, canonical: gpu:ascend_910b=2,gpu=1 or
            shard=4; '' for none.
        req_gres: Requested cards and parts, the same way; '' for none or not recorded.
        voucher: Voucher account that the submit hook wrote down. None: none.
        hold: Id of the hold that it took. None: none.
        held_micro: What was held. None: none, or not known when the job was let in.
    """

    cluster: str
    job_id: int
    job: str
    submit_s: int
    start_s: int | None
    end_s: int
    billed_from_s: int | None
    elapsed_s: int
    suspended_s: int
    state: str
    partition: str
    qos: str
    slurm_account: str
    user: str
    uid: int | None
    nodes: int
    cpus: int
    mem_mb: int | None
    cards: int
    gres: str
    req_gres: str
    voucher: str | None
    hold: str | None
    held_micro: int | None


def is_part(gres: str) -> bool:
    """Tell whether a gres such as shard or shard:ascend_910b is a part of a card."""
    return gres.partition(":")[0] in PARTS
