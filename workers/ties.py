"""Asks Stripe which state stands where the order of a subscription's last second is undecided.

The answer comes back as one more event of the subscription, newer than the tie.
"""

import telemetry
from db import subscriptions
from stripe_gateway import StripeMissing, StripeUnavailable
from workers.apply import apply
from workers.fetch import answer_times, subscription_now
from workers.measure import committed
from workers.wiring import Wiring

# A question may take seconds; this many fit into one task.
QUESTIONS_MAX = 5

log = telemetry.get_logger("ties")


def settle_ties(wiring: Wiring) -> int:
    """Ask about a few undecided subscriptions; returns how many are settled. None without a key."""
    if wiring.gateway is None:
        return 0
    with wiring.engine.connect() as connection:
        undecided = subscriptions.undecided(connection, QUESTIONS_MAX)
        times = answer_times(connection, undecided)
    settled = 0
    for subscription_id, created in times.items():
        try:
            work = subscription_now(subscription_id, wiring.gateway, created)
        except StripeMissing:
            # Of another account or mode: nobody can say more than the fixed order does.
            with wiring.engine.begin() as connection:
                subscriptions.give_up(connection, subscription_id)
            continue
        except StripeUnavailable as error:
            log.warning("stripe cannot be asked", detail=error.detail)
            return settled
        committed(apply(wiring.engine, [work], wiring.catalogue))
        settled += 1
    return settled
