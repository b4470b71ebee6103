"""Verifies the files of `hub ledger export --format jsonl -o TRANSFERS --accounts ACCOUNTS` with nothing of the hub."""

import hashlib
import json
import sys
from collections import defaultdict

files = [open(name, "rb") for name in sys.argv[1:3]]  # noqa: PTH123, SIM115 - the process ends with them
link, pends, ends, sums = "0" * 64, {}, {}, defaultdict(lambda: [0, 0, 0, 0])
for n, t in enumerate(map(json.loads, files[0]), 1):
    text = json.dumps([link, n, *list(t.values())[2:]], separators=(",", ":"), ensure_ascii=False)
    link, phase, amount = hashlib.sha256(text.encode()).hexdigest(), t["phase"], t["amount_msat"]
    first = ends.setdefault(t["pending_id"], (n, t))[0] if phase in ("post", "void") else n
    if [t["number"], t["hash"], amount > 0, first] != [n, link, True, n]:
        sys.exit(f"{sys.argv[1]}:{n}: the chain is broken, the amount is none, or this was resolved before")
    if phase == "pend":
        pends[t["id"]] = t
    for side, account in enumerate((t["debit_account"], t["credit_account"])):
        sums[account][side + 2 * (phase == "pend")] += 0 if phase == "void" else amount
for name, (n, t) in ends.items():
    pend, sides = pends.get(name, {"amount_msat": 0}), [t["debit_account"], t["credit_account"]]
    if t["amount_msat"] > pend["amount_msat"] or [pend["debit_account"], pend["credit_account"]] != sides:
        sys.exit(f"{sys.argv[1]}:{n}: nothing, or less, was held for this")
    for side, account in enumerate(sides):
        sums[account][side + 2] -= pend["amount_msat"]
for n, a in enumerate(map(json.loads, files[1]), 1):
    id_, _, floor, *found = a.values()
    if sums.pop(id_, [0] * 4) != found or (floor is not None and found[1] - found[0] - found[2] < floor):
        sys.exit(f"{sys.argv[2]}:{n}: not the sums of the transfers, or below the floor")
sys.exit(f"{sys.argv[2]}: without {sorted(sums)}" if sums else print(f"the books are right up to {link}"))
