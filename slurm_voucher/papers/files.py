"""Write a paper into a file, in the form that its name ends in: whole or not at all."""

import importlib
from pathlib import Path

from accounting import durable
from accounting.errors import InvalidInput
from accounting.forms.paper import Paper

FORMS = {".pdf": "pdf", ".xlsx": "xlsx", ".csv": "commas"}
"""Each ending, and the module of this package that writes it: it is loaded when it is used."""


def form_of(target: Path, force: bool) -> str:
    """Return the module that writes what a file's name says, before anything is worked out.

    Raises:
        InvalidInput: The ending is unknown, the file is there already or is none, or its folder
            is not there.
    """
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise InvalidInput(
            f"{target}: ends in {target.suffix or 'nothing'}, one of {', '.join(FORMS)} says the "
            "form; name it so"
        )
    if not target.parent.is_dir():
        raise InvalidInput(f"{target}: {target.parent} is no folder; make it first")
    if target.exists() and not (force and target.is_file()):
        what = "is there already" if target.is_file() else "is no file"
        raise InvalidInput(f"{target}: {what}, nothing was written; name another, or add --force")
    return form


def write(paper: Paper, target: Path, force: bool, font: Path | None = None) -> None:
    """Write a paper.

    Args:
        paper: What stands on it.
        target: Where; its ending says the form.
        force: Also over a file that is there.
        font: What pages are set in. None: what is found.

    Raises:
        InvalidInput: The name will not do, or the font has not what the paper says.
        OSError: The disk is full, or the folder is not ours to write to.
    """
    writer = importlib.import_module(f"slurm_voucher.papers.{form_of(target, force)}")
    content: bytes = writer.content(paper, font)
    try:
        durable.put(target.parent, target.name, content)
    except OSError as error:  # a full disk does not say whose file it has no room for
        raise OSError(error.errno, error.strerror, str(target)) from None
