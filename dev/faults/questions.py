"""Faults of the Stripe that the product asks: nobody but the question may wait for it."""

import time
from collections.abc import Callable

from dev.faults.stage import FaultError, Stage
from dev.faults.stripe import SLOW

# Long enough for a question to hang, and for the next one to be held back.
TROUBLE_SECONDS = 15.0


def trouble(kind: str) -> Callable[[Stage], None]:
    """A fault: Stripe is in this trouble for some seconds, and then answers everything."""

    def inject(stage: Stage) -> None:
        stripe = stage.stripe
        if stripe is None:
            raise FaultError("this run has no Stripe to be in trouble")
        asked = stripe.asked
        with stripe.trouble(kind):
            time.sleep(TROUBLE_SECONDS)
            stage.await_true(lambda: stripe.asked > asked, f"Stripe {kind}, and nobody asked it")
        answered = stripe.answered
        if kind != SLOW:
            stage.await_true(
                lambda: stripe.answered > answered, "nobody asks a Stripe that answers again"
            )

    return inject
