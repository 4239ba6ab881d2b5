"""An app that spends one token at a steady rate, and spools while the service is away.

Run as a process of its own: `python -m dev.faults.spender URL SPOOL COUNT RATE`. It says in JSON
what came of it, with times in seconds since it began, which it says in a line of its own.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from fiko_client import Client, Spool, Spooled

THREADS = 16
# Two clients, as of two processes of an app: they share nothing but the file.
CLIENTS = 2
SETTLE_SECONDS_MAX = 120.0


def spend_all(url: str, spool_path: str, count: int, rate: float) -> dict[str, object]:
    """Spend so often, then wait until the spool is empty."""
    spool = Spool(Path(spool_path))
    token = os.environ["SPENDER_TOKEN"]
    clients = [Client(url, token, spool=spool, timeout=2.0) for _ in range(CLIENTS)]
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    began = time.monotonic()

    def spend(number: int) -> tuple[bool, float]:
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        since = time.monotonic()
        client = clients[number % CLIENTS]
        answer = client.spend(1, "a summary", f"spend_{number}", away="spool")
        return isinstance(answer, Spooled), time.monotonic() - since

    with clients[0].settling(every=0.1):
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(spend, range(count)))
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while len(spool) and time.monotonic() < deadline:
            time.sleep(0.05)
    settled_after = time.monotonic() - began
    spooled = [seconds for is_spooled, seconds in answers if is_spooled]
    for client in clients:
        client.close()
    return {
        "spooled": len(spooled),
        "refused": len(spool.refused()),
        "settled_after": settled_after,
        "slowest": max(seconds for _, seconds in answers),
        "median_spooled": median(spooled) if spooled else 0.0,
    }


if __name__ == "__main__":
    address, path, spends, pace = sys.argv[1:]
    sys.stdout.write(json.dumps(spend_all(address, path, int(spends), float(pace))))
