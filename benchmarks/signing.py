"""What proofs add between an approval and the start of its execute, beside what is done for the same letters anyway.

The API server signs a grant; the worker asks it for the keys, verifies the grant, and seals what it leaves, which the API server
checks. Beside each: writing and reading the letter as JSON, and a request to Airflow's own health page over a new connection.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from benchmarks.common import Verdict, fresh_stack, machine, median, run, table
from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import PUBLIC_KEYS
from dagctl_provider.domain.proofs import Place, SigningKey
from dagctl_provider.hooks import keys

MOST_MILLISECONDS = 5.0
HEALTH = "/api/v2/monitor/health"


def letter(parts: int) -> dict[str, Any]:
    """A grant of an execute whose plan has that many parts."""
    digest = "0123456789abcdef" * 4
    request = {"expected_digest": digest, "expected_digest_parts": {f"model:shop.m{n:04}": digest for n in range(parts)}}
    return {"dag_id": "dagctl__shop", "run_id": "plangroup_1", "task_id": "execute", "request": request}


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """The median of some rounds."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return median(taken)


def asked(address: str) -> Callable[[], object]:
    """A request over a connection of its own."""
    return lambda: httpx.get(address, timeout=60, verify=False).raise_for_status()


def main(options: argparse.Namespace) -> int:
    """Measure and print."""
    key, about = SigningKey.new(), machine()
    rounds = 20 if options.quick else options.rounds
    known = dict([proofs.read_public_key(key.public)])
    grant, place = letter(options.parts), Place("dagctl__shop", "plangroup_1", "execute", "result", "try")
    signed, sealed = proofs.sign(key, "grant", grant), proofs.sealed("key", place, grant)
    text = json.dumps(grant)
    rows = [
        ("sign the grant", lambda: proofs.sign(key, "grant", grant), "write it as JSON", lambda: json.dumps(grant)),
        ("verify it", lambda: proofs.verified(known, "grant", signed), "read it as JSON", lambda: json.loads(text)),
        ("seal such a letter", lambda: proofs.sealed("key", place, grant), "write it", lambda: json.dumps(grant)),
        ("check the seal", lambda: proofs.unsealed("key", place, sealed), "read it", lambda: json.loads(text)),
    ]
    with fresh_stack("signing") as stack:
        stack.stop_components(["scheduler", "dag-processor"])
        rows.append(
            (
                "ask for the keys",
                lambda: keys.fetched(stack.base_url + PUBLIC_KEYS),
                "ask for Airflow's health",
                asked(stack.base_url + HEALTH),
            )
        )
        found = [(ours, milliseconds(work, rounds), beside, milliseconds(other, rounds)) for ours, work, beside, other in rows]
    total = sum(mine for ours, mine, *_ in found if not ours.startswith(("seal", "check")))
    print(f"\nsigning: {about}\n{options.parts} parts, {len(text) / 1000:.0f} kB, medians of {rounds}\n")
    lines = [(ours, f"{mine:.2f}", beside, f"{other:.2f}", f"{mine / other:.1f}") for ours, mine, beside, other in found]
    print(table(("what", "ms", "beside it", "ms", "ratio"), [*lines, ("before an execute starts", f"{total:.2f}", "", "", "")]))
    verdict = Verdict()
    verdict.require(total < MOST_MILLISECONDS, f"signing adds {total:.2f} ms to the start, more than {MOST_MILLISECONDS}")
    return verdict.tell()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.signing", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--parts", type=int, default=800, help="parts of the plan (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=200, help="rounds of each (default: %(default)s)")
    made.add_argument("--quick", action="store_true", help="fewer rounds")
    return made


if __name__ == "__main__":
    run(main, parser())
