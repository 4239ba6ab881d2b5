"""Whether the restricted key may do what is needed of it, and no more."""

from collections.abc import Iterable

from settings import Settings
from stripe_gateway import open_gateway
from workers.endpoints import key
from workers.endpoints.key import Access, Need
from workers.operations.findings import Finding, Level

_WORDS = {Access.READ: "read", Access.WRITE: "write"}


def look(settings: Settings, *, is_thin: bool) -> list[Finding]:
    """What a restricted key lacks and what it has in vain; of other keys only what they are.

    Raises `StripeUnavailable`.
    """
    gateway = open_gateway(settings)
    if gateway is None:
        return []
    if not settings.stripe_secret_key.startswith(key.PREFIX):
        says = "a secret key, which may do everything; a restricted one (rk_…) is safer"
        return [Finding("key", Level.OK, says)]
    verdict = key.examine(gateway, test_mode=settings.stripe_test_mode, is_thin=is_thin)
    findings = [*_missing(verdict.missing)]
    if verdict.surplus:
        may = ", ".join(f"{_WORDS[access]} {each.label}" for each, access in verdict.surplus)
        cure = f"take that from it, or make one that fits: {verdict.page}"
        findings.append(Finding("key", Level.WARN, f"it may {may}, and need not", cure))
    if not verdict.missing:
        findings.insert(0, Finding("key", Level.OK, "a restricted key with all that is needed"))
    return findings


def _missing(needs: Iterable[Need]) -> Iterable[Finding]:
    for need in needs:
        says = f"it may not {_WORDS[need.access]} {need.resource.label}: {need.why}"
        slug = f"rak_{need.resource.slug}_{_WORDS[need.access]}"
        level = Level.FAIL if need.is_vital else Level.WARN
        cure = f"allow {need.resource.label}: {_WORDS[need.access]} ({slug}) to the key"
        yield Finding("key", level, says, cure)
