"""The wire between a user's svoucher and a site's voucherd, and the user's end of it.

A question is one MUNGE credential on a line: JSON with the version, its uid is who asks. So is the
answer, which only this user can read. Whoever asks loads neither the database nor the rules.
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

from accounting.errors import InvalidInput, Unavailable, VoucherError
from slurm_voucher import munge

VERSION = 1
"""What both ends say; svoucher and voucherd of before it said nothing."""
PORT = 6899
LINE_BYTES_MAX = 16_384
ANSWER_BYTES_MAX = 1 << 20
WAIT_S = 5
"""How long a user may take to ask."""
ANSWER_S = 10
"""How long a user waits for the answer."""


def ask(host: str, port: int, question: Mapping[str, Any], munge_socket: str | None = None) -> Any:
    """Ask a site's voucherd, as whoever runs this.

    Raises:
        Unavailable: Nobody answers there, or no munged here.
        InvalidInput: It is of another release.
        VoucherError: What the site says.
    """
    asked = {"version": VERSION, **question}
    credential = munge.encode(json.dumps(asked).encode(), None, munge_socket)
    if len(credential) >= LINE_BYTES_MAX:
        raise InvalidInput(
            f"question: {len(credential)} bytes, {LINE_BYTES_MAX} are read; ask for less at once"
        )
    answer = b""
    try:
        with socket.create_connection((host, port), WAIT_S) as asking:
            asking.settimeout(ANSWER_S)
            asking.sendall(credential + b"\n")
            while len(answer) <= ANSWER_BYTES_MAX and (some := asking.recv(65_536)):
                answer += some
    except OSError as error:
        raise Unavailable(
            f"voucherd at {host}:{port}: {error.strerror or error}; ask the operator whether "
            "users_port is set, or try again"
        ) from None
    if not answer:
        raise Unavailable(f"voucherd at {host}:{port}: gave no answer; ask again in a minute")
    told = _read(munge.decode(answer.strip(), munge_socket)[0])
    # What an earlier one refuses it refuses in its own words: they may say nothing of a version.
    if told.get("version") != VERSION:
        raise InvalidInput(
            f"voucherd at {host}:{port}: speaks version {str(told.get('version', 0))[:8]}, this "
            f"svoucher {VERSION}; use the svoucher of the site's release, or tell the operator"
        )
    if "rows" not in told:
        raise _said(told)
    return told["rows"]


def _read(answer: bytes) -> Mapping[str, Any]:
    """Read an answer; what is none is of version 0, too."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {}


def _said(told: Mapping[str, Any]) -> VoucherError:
    """Return an error as the site raised it, with its code and exit code."""
    error = VoucherError(str(told.get("say", "voucher: refused; ask the operator")))
    error.code, error.exit_code = str(told.get("code")), int(told.get("exit", 1))
    return error
