"""What a site does until its power goes: payments, and runs that come in; each is acknowledged.

work.py URL ARCHIVE durable|hasty: prints `paid N` and `taken N` when N is in the book.
"""

import os
import signal
import sys
from pathlib import Path

import delivery
import town as towns

from accounting.book import ledger


def main() -> None:
    book, archive, durable = sys.argv[1:]
    engine = ledger.connect(book, durable=durable == "durable")
    town = towns.Town(engine, Path(archive), {})
    for number in range(1, 4):
        with town.begin() as conn:
            towns.pay(conn, "10", f"P-{number}")
        print("paid", number, flush=True)
        delivery.take(town, delivery.yuan(number, 5))
        print("taken", number, flush=True)
    if durable != "durable":
        os.kill(os.getpid(), signal.SIGKILL)  # before closing, which would sync


if __name__ == "__main__":
    main()
