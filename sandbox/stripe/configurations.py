"""Finds portal configurations; the default one is there before anybody changes it. Reads only."""

from collections.abc import Iterator

from sandbox.stripe.agenda import Shop
from sandbox.stripe.portals import DEFAULT_ID, PortalConfiguration, default_configuration


def configuration(shop: Shop, configuration_id: str) -> PortalConfiguration | None:
    """A configuration by its id."""
    kept = shop.get(PortalConfiguration, configuration_id)
    if kept is not None or configuration_id != DEFAULT_ID:
        return kept
    return default_configuration()


def configurations(shop: Shop) -> Iterator[PortalConfiguration]:
    """Every configuration, newest first, so that the default one comes last."""
    yield from (one for one in shop.every(PortalConfiguration) if not one.is_default)
    yield shop.get(PortalConfiguration, DEFAULT_ID) or default_configuration()
