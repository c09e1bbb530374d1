"""What services say of what they do: to standard error, which systemd and slurmctld keep."""

import logging


def begin() -> None:
    """Write what is logged from now on, with when and by whom."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="INFO")
