"""Subscriptions: one report of the whole object; which report stands is decided when merging."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.subscriptions import Subscription, Version


def version(source: Source) -> list[Fact]:
    """A report of a subscription's state, and the links it carries."""
    subscription_id = source.required_id()
    source.required_text("status")
    event = source.event
    report = Version(
        created=event.created,
        event_id=event.id,
        event_type=event.type,
        object=event.object,
        previous=event.previous_attributes,
    )
    return [
        *source.customer_link(),
        Subscription(
            id=subscription_id,
            customer_id=source.required_reference("customer"),
            plan_claim=source.plan_claim(),
            versions=(report,),
        ),
    ]
