"""The states that sacct knows: the one list of them."""

LIVE = frozenset(
    {
        "PENDING",
        "RUNNING",
        "SUSPENDED",
        "COMPLETING",
        "CONFIGURING",
        "SIGNALING",
        "STAGE_OUT",
        "STOPPED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
        "RESV_DEL_HOLD",
    }
)
"""A row in one of these is no run yet."""

ENDED = {
    "COMPLETED": "CD",
    "FAILED": "F",
    "TIMEOUT": "TO",
    "CANCELLED": "CA",
    "NODE_FAIL": "NF",
    "PREEMPTED": "PR",
    "OUT_OF_MEMORY": "OOM",
    "DEADLINE": "DL",
    "BOOT_FAIL": "BF",
    "REQUEUED": "RQ",
    "RESIZING": "RS",
}
"""States of a run that has ended, and what sacct -s calls them. RESIZING is one: the row is
the part before the resize, and without it that part would be lost. A state that is in neither
list (REVOKED, or one that a later Slurm adds) is kept as it is; rating lists it as unrated.
"""
