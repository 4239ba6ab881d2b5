"""What `doctor` says of a restricted key, tried out on the offline Stripe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import settings
from stripe_gateway import StripeKeyRefused, StripeUnavailable
from tests.ingest.builders import ENVIRONMENT
from tests.offline_stripe import Offline, offline_stripe
from workers.operations import key_checks
from workers.operations.findings import Finding, Level

KEY = "rk_test_of_the_tests0123456789"
FITTING = (
    *("customer_write", "checkout_session_write", "customer_portal_write", "product_write"),
    *("plan_write", "webhook_write", "subscription_read", "invoice_read", "charge_read"),
    "event_read",
)
Look = Callable[..., list[Finding]]


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account with nothing in it."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


@pytest.fixture
def look(offline: Offline) -> Look:
    """What is said of a key with these permissions."""

    def say(*permissions: str, key: str = KEY, is_thin: bool = False) -> list[Finding]:
        offline.world.keys.restrict(KEY, *permissions)
        variables = {"STRIPE_SECRET_KEY": key, "STRIPE_API_BASE": offline.url}
        configured = settings.load(environ=ENVIRONMENT | variables)
        return key_checks.look(configured, is_thin=is_thin)

    return say


def without(*slugs: str) -> list[str]:
    """A fitting key's permissions but these."""
    return [each for each in FITTING if each not in slugs]


def test_a_key_that_fits_is_well(look: Look, offline: Offline) -> None:
    """And trying it out has made nothing and changed nothing."""
    (found,) = look(*FITTING)
    assert (found.level, found.says) == (Level.OK, "a restricted key with all that is needed")
    assert offline.types() == []
    with offline.world.reading() as shop:
        assert shop.records == {}


@pytest.mark.parametrize(
    ("slug", "says", "level"),
    [
        ("customer_write", "it may not write Customers", Level.FAIL),
        ("checkout_session_write", "it may not write Checkout Sessions", Level.FAIL),
        ("customer_portal_write", "it may not write Customer portal", Level.FAIL),
        ("subscription_read", "it may not read Subscriptions", Level.FAIL),
        ("invoice_read", "it may not read Invoices", Level.FAIL),
        ("charge_read", "it may not read Charges and Refunds", Level.FAIL),
        ("event_read", "it may not read Events", Level.FAIL),
        ("plan_write", "it may not write Prices", Level.WARN),
        ("product_write", "it may not write Products", Level.WARN),
        ("webhook_write", "it may not write Webhook Endpoints", Level.WARN),
    ],
)
def test_each_missing_permission_is_named(look: Look, slug: str, says: str, level: Level) -> None:
    """With what it is for, and what Stripe calls it."""
    (found,) = look(*without(slug))
    assert found.level is level
    assert found.says.startswith(says)
    assert f"rak_{slug}" in found.cure


def test_what_it_has_and_need_not_is_named(look: Look) -> None:
    """Also where reading would do; with a page that makes a fitting one."""
    well, found = look(*FITTING, "payout_write", "balance_transaction_read", "subscription_write")
    assert well.level is Level.OK
    assert found.level is Level.WARN
    for words in ("write Payouts", "read Balance transactions", "write Subscriptions"):
        assert words in found.says
    assert "Customers" not in found.says
    assert "apikeys/create" in found.cure
    assert "rak_subscription_read" in found.cure


def test_thin_events_need_what_they_make_us_fetch(look: Look) -> None:
    """Refunds, disputes, intents and credit notes are fetched then, and else are of no use."""
    fetched = ("payment_intent_read", "refund_read", "dispute_read", "credit_note_read")
    missing = look(*FITTING, is_thin=True)
    assert {each.level for each in missing} == {Level.FAIL}
    assert len(missing) == len(fetched)
    (found,) = look(*FITTING, *fetched, is_thin=True)
    assert found.level is Level.OK
    assert "read Refunds" in look(*FITTING, *fetched)[1].says


def test_a_secret_key_is_not_tried(look: Look, offline: Offline) -> None:
    """It may do everything, which is said."""
    (found,) = look(key="sk_test_of_the_tests0123456789")
    assert found.level is Level.OK
    assert "may do everything" in found.says
    assert offline.types() == []


def test_a_key_that_stripe_refuses_as_a_whole_is_no_key_without_permissions(
    look: Look, offline: Offline
) -> None:
    """Nor is a Stripe that fails: whoever asks is told so instead."""
    offline.world.set_answering(kind="errors", status=500)
    with pytest.raises(StripeUnavailable):
        look(*FITTING)
    offline.world.set_answering(kind="normal")
    with pytest.raises(StripeKeyRefused):
        look(key="rk_test_!")
