"""Makes an endpoint what it must be, in what Stripe lets be changed: URL, types, status."""

from workers.endpoints.checking import Checked
from workers.endpoints.remote import RemoteEndpoints


def mend(remote: RemoteEndpoints, checked: Checked) -> list[str]:
    """Change whatever drifted and can be changed; says in words what was done."""
    endpoint, wanted = checked.endpoint, checked.wanted
    done = []
    kinds = {each.what for each in checked.drift if each.can_mend}
    if "url" in kinds:
        remote.set_url(endpoint.kind, endpoint.id, wanted.url)
        done.append(f"{endpoint.id} posts to {wanted.url} now")
    if "types" in kinds:
        remote.set_types(endpoint.kind, endpoint.id, wanted.types)
        done.append(f"{endpoint.id} sends exactly the {len(wanted.types)} types of docs/events.md")
    if "status" in kinds:
        remote.set_enabled(endpoint.kind, endpoint.id, is_enabled=True)
        done.append(f"{endpoint.id} is enabled; run `reconcile` for what it did not deliver")
    return done
