"""What `up` says when everything runs: where it is, and what to try next."""

from pathlib import Path

from dev.up.environment import FILE_NAME, Addresses
from dev.up.logs import DIRECTORY

WEBHOOK_PATH = "/billing/stripe/webhook/"


def banner(directory: Path, addresses: Addresses, seconds: float) -> str:
    """The text, for a terminal of 80 columns or more."""
    base = addresses.base_url
    manage = "python3 manage.py"
    shown = _shown(directory)
    data = "" if shown == ".data" else f" --data {shown}"
    rows = [
        ("try it", f"{base}/demo/"),
        ("API", f"{base}/docs/"),
        ("webhook", f"{base}{WEBHOOK_PATH}"),
        ("ready", f"{base}/readyz"),
        ("metrics", f"{base}/metrics"),
        ("data", f"{shown}  (addresses and secrets: {FILE_NAME})"),
        ("logs", f"{_shown(directory / DIRECTORY)}/  (`up --logs` shows them here)"),
    ]
    if addresses.offline_stripe_url:
        address = f"{addresses.offline_stripe_url}/  (offline: no STRIPE_SECRET_KEY is set)"
        rows.insert(1, ("Stripe", address))
    steps = [
        f"{manage} simulate{data}",
        f"{manage} events{data}",
        f"{manage} explain --user demo{data}",
    ]
    if not addresses.offline_stripe_url:
        target = base.removeprefix("http://") + WEBHOOK_PATH
        steps.append(f"stripe listen --forward-to {target}")
    lines = ["", f"Ready in {seconds:.1f} s.", ""]
    lines += [f"  {name:<9} {text}" for name, text in rows]
    lines += ["", "Try, in another terminal:", ""]
    lines += [f"  {step}" for step in steps]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])


def _shown(directory: Path) -> str:
    working_directory = Path.cwd()
    text = (
        str(directory.relative_to(working_directory))
        if directory.is_relative_to(working_directory)
        else str(directory)
    )
    return f"'{text}'" if " " in text else text
