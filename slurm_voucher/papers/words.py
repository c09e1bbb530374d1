"""Words that every form of a paper has."""

from accounting.forms.paper import Paper

SUM = "合计"
STAMP = "演练"
OF_REHEARSAL = f"{STAMP} REHEARSAL：不作结算凭证"


def marks(paper: Paper) -> tuple[str, ...]:
    """Return what stands above all else: that it is of a rehearsal, if it is."""
    return (OF_REHEARSAL,) if paper.rehearsal else ()
