"""Sees to it that what is asked of this machine goes through no proxy."""

import os

# As the libraries that ask something over HTTP spell this machine. urllib, which reads key sets,
# would also want [::1]; httpx takes that for a port and refuses to work at all.
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def ask_loopback_directly() -> None:
    """See to it that this process, and those it starts, ask this machine through no proxy.

    A proxy is for the world outside: asked for an address of this machine it looks for it on its
    own. Call it before anything is asked over HTTP. Without a proxy nothing is changed.
    """
    named = {name.upper() for name, value in os.environ.items() if value}
    if not {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} & named:
        return
    # The libraries look at the small name first; a person may have set either.
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if listed.strip() == "*":
        return
    words = [word.strip() for word in listed.split(",") if word.strip()]
    words += [name for name in _LOOPBACK_NAMES if name not in words]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(words)
