"""Whether this machine lets us make networks and process spaces of our own, and how to enter one.

In such a network a machine that is lost does not even refuse connections, and its links can be cut
one by one. Where it is not allowed, machines are loopback addresses, and what needs a link that
can be cut is left out.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

ENCLOSED = "BILLING_MACHINES_ENCLOSED"
_TOOLS = ("ip", "unshare", "nsenter", "setpriv")
_TRIAL = (
    "ip link set lo up && ip link add trial type bridge"
    " && ip link add trial0 type veth peer name trial1"
    " && unshare --uts --ipc --pid --mount --fork --mount-proc true"
)


def is_enclosed() -> bool:
    """Whether this process has a network of its own already."""
    return ENCLOSED in os.environ


def reason_against() -> str:
    """Why this machine does not let us; empty where it does."""
    if sys.platform != "linux":
        return "only Linux has network namespaces"
    if missing := [tool for tool in _TOOLS if not shutil.which(tool)]:
        return f"{', '.join(missing)} not installed"
    if os.geteuid():
        return "only root may make network namespaces"
    tried = subprocess.run(  # noqa: S603 - our own words.
        ("unshare", "--net", "sh", "-c", _TRIAL),  # noqa: S607 - found on PATH above.
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip().replace("\n", "; ") if tried.returncode else ""


def enter(command: Sequence[str]) -> None:
    """Go on as this command in a network of its own; what is made there ends with it."""
    os.environ[ENCLOSED] = "1"
    os.execvp("unshare", ["unshare", "--net", "--", *command])  # noqa: S606, S607 - as above.
