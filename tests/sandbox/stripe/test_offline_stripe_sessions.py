"""What checkout sessions of the offline Stripe are told, and what their pages make of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.server import make_app
from sandbox.stripe.views import Declined, Paid
from tests.offline_stripe import GOOD, Offline, offline_stripe
from tests.stripe_types import problems_of

LOCAL = "http://127.0.0.1:9000"


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def test_metadata_of_a_session_is_changed(offline: Offline) -> None:
    """Named words are replaced, the others stay; also once it is complete."""
    session = offline.session(
        offline.price(500, None), offline.customer(), metadata={"a": "1", "b": "2"}
    )
    sessions = offline.client.v1.checkout.sessions
    changed = sessions.update(session, {"metadata": {"a": "3"}})
    assert changed.to_dict()["metadata"] == {"a": "3", "b": "2"}
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert sessions.update(session, {"metadata": ""}).status == "complete"
    (done,) = offline.objects("checkout.session.completed")
    assert done["metadata"] == {"a": "3", "b": "2"}


@pytest.mark.parametrize(
    ("types", "shown"),
    [(["card"], (True, False)), (["sepa_debit"], (False, True)), (None, (True, True))],
)
def test_a_page_takes_what_the_session_says(
    offline: Offline, types: list[str] | None, shown: tuple[bool, bool]
) -> None:
    """Neither shown nor taken is what it does not name; both are where it names nothing."""
    more: dict[str, Any] = {"payment_method_types": types} if types else {}
    session = offline.session(offline.price(500, None), offline.customer(), **more)
    told = offline.client.v1.checkout.sessions.retrieve(session)
    assert not problems_of(told.to_dict(for_json=True))
    assert types is None or told.payment_method_types == types
    page = make_app(offline.world).test_client().get(f"/c/pay/{session}", base_url=LOCAL).text
    assert ('value="card"' in page, 'value="bank"' in page) == shown
    card, debit = shown
    if not card:
        assert isinstance(offline.world.pay(session, GOOD), Declined)
    said = offline.world.pay_delayed(session)
    assert isinstance(said, Paid if debit else Declined)
    assert ("checkout.session.completed" in offline.types()) is debit


def test_a_button_says_what_it_is_told_to(offline: Offline) -> None:
    """A donation is donated; a word of the other mode is refused."""
    price, customer = offline.price(500, None), offline.customer()
    session = offline.session(price, customer, submit_type="donate")
    page = make_app(offline.world).test_client().get(f"/c/pay/{session}", base_url=LOCAL).text
    assert "Donate $5.00" in page
    assert offline.client.v1.checkout.sessions.retrieve(session).submit_type == "donate"
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.session(price, customer, submit_type="subscribe")
    assert error.value.param == "submit_type"
