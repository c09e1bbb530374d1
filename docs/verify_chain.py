"""Verify a chain that `svoucher audit --export FILE` wrote. Needs Python alone, none of our code.

    python3 verify_chain.py chain.jsonl

Each line is one entry. Its hash is the SHA-256 of all its other fields as canonical JSON, among
them the hash before; what it posts sums to zero. Compare the last hash with a printed one.
"""

import hashlib
import json
import sys

before, place = "0" * 64, 0
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        place += 1
        entry = json.loads(line)
        stated = entry.pop("hash")
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if entry["seq"] != place:
            sys.exit(f"line {place}: is entry {entry['seq']}")
        if entry["prev_hash"] != before:
            sys.exit(f"entry {place}: does not follow the one before")
        if hashlib.sha256(canonical.encode()).hexdigest() != stated:
            sys.exit(f"entry {place}: is not what was hashed")
        if sum(amount for _, _, amount in json.loads(entry["content"])["postings"]) != 0:
            sys.exit(f"entry {place}: does not sum to zero")
        before = stated
print(f"{place} entries follow each other; the last hash is {before}")
