"""The same lives told thin: what is told of each event, and what Stripe answers for them."""

from pathlib import Path

import pytest

from sandbox.simulate.bringing import BringingError, bring
from sandbox.simulate.lives import AnsweringAccount, as_thin
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE
from tests.offline_stripe import offline_stripe

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def account() -> AnsweringAccount:
    """Forty customers of all versions."""
    found = AnsweringAccount(seed=11, run="bring", starts_at=NOW)
    play(found, read_file(SAMPLE_PLANS), BY_CHOICE["mixed"], customers=40, today=NOW)
    return found


def test_every_event_has_one_thin_twin_and_carries_no_object(account: AnsweringAccount) -> None:
    """And what older endpoints are not told is told thin, without a twin to name."""
    thin = [event.payload for event in as_thin(account)]
    twins = [each["snapshot_event"] for each in thin if each["snapshot_event"]]
    assert sorted(twins) == sorted(event.id for event in account.events)
    assert len({each["id"] for each in thin}) == len(thin)
    assert not any("data" in each for each in thin)
    alone = {each["type"] for each in thin if not each["snapshot_event"]}
    assert "v1.invoice_payment.paid" in alone
    assert alone <= {
        "v1.invoice_payment.paid",
        "v1.refund.created",
        "v1.refund.failed",
        "v1.refund.updated",
    }


def test_the_offline_stripe_answers_for_them(account: AnsweringAccount, tmp_path: Path) -> None:
    """Every object that a thin event names, in the newest version; and every event by its id."""
    with offline_stripe(tmp_path / "stripe.sqlite") as offline:
        answers = list(account.answers())
        assert bring(offline.url, answers) == len(answers)
        handled = {
            event.payload["related_object"]["url"]: event.payload["related_object"]
            for event in as_thin(account)
            if (event.payload["related_object"] or {}).get("type")
            in ("invoice", "subscription", "charge", "invoice_payment", "credit_note", "dispute")
        }
        assert len(handled) > 100
        for path, related in list(handled.items())[:60]:
            found = offline.client.raw_request("get", path)
            assert f'"{related["id"]}"' in found.body
        event = account.events[0]
        assert offline.client.v1.events.retrieve(event.id).type == event.type


def test_who_is_no_offline_stripe_takes_no_lives() -> None:
    """Said in one line."""
    with pytest.raises(BringingError, match="no offline Stripe"):
        bring("http://127.0.0.1:1", [("/v1/invoices/in_1", b"{}")])
