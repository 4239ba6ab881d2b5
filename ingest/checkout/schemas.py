"""The schemas of checkout and portal: what is asked for, and what is answered."""

from marshmallow import ValidationError, fields, validate, validates_schema

from domain.checkout.redirects import SESSION_PLACEHOLDER
from ingest.http.schemas import AnswerSchema, BodySchema, choice, example_of, integer, string

PLAN_ID_MAX = 2**31 - 1
SESSION_STATUSES = ("open", "processing", "complete", "failed", "expired")
FLOWS = ("cancel", "update", "payment_method")

_SESSION_ID = "cs_test_a1b2c3d4e5f6g7h8i9j0"


def _url(what: str) -> fields.String:
    """An address; whether it is allowed is not decided here."""
    return fields.String(load_default=None, allow_none=True, metadata={"description": what})


class CheckoutBodySchema(BodySchema):
    """What to buy. Price and terms are those of the catalogue."""

    example = example_of(
        plan_type="full",
        plan_id=1,
        currency="eur",
        # What `up` allows, so that the example works on a fresh machine.
        success_url=f"http://localhost:3000/bought?session={SESSION_PLACEHOLDER}",
        cancel_url="http://localhost:3000/plans",
    )

    plan_type = fields.String(
        required=True,
        validate=validate.OneOf(("full", "token")),
        metadata={"description": "full: a plan with tokens; token: a package of tokens."},
    )
    plan_id = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(1, PLAN_ID_MAX),
        metadata={"description": "The plan's number in the catalogue."},
    )
    currency = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"^[A-Za-z]{3}\Z", error="Must be a three-letter currency code."),
        metadata={"description": "What to pay in; left out, the shop's usual currency."},
    )
    success_url = _url(
        f"Where the buyer goes after paying. {SESSION_PLACEHOLDER} in it becomes the session's id;"
        " without it, session_id is added to the query."
    )
    cancel_url = _url("Where the buyer goes who turns back.")


class CheckoutSchema(AnswerSchema):
    """Where to send the buyer."""

    example = example_of(
        session_id=_SESSION_ID,
        url=f"https://checkout.stripe.com/c/pay/{_SESSION_ID}",
        message="Checkout session created successfully",
    )

    session_id = string("Stripe's cs_… id.")
    url = string("Stripe's page; send the buyer there.")
    message = string("For people.")


class SessionSchema(AnswerSchema):
    """What came of a checkout session."""

    example = example_of(
        session_id=_SESSION_ID,
        status="complete",
        plan_id=1,
        tokens_granted=10000,
        subscription_id="sub_1QkX2eLkdIwHu7ix",
    )

    session_id = string("Stripe's cs_… id.")
    status = choice(
        *SESSION_STATUSES,
        what="complete only once tokens and subscription are there; processing: paid, or on its"
        " way, and not there yet.",
    )
    plan_id = integer("The plan that is bought; null where it is not known.", allow_none=True)
    tokens_granted = integer(
        "The tokens that it brought, less what was refunded; 0 until complete."
    )
    subscription_id = string("Stripe's sub_… id, where it is one and known.", allow_none=True)


class PortalBodySchema(BodySchema):
    """Where in the portal to begin, and where to come back to."""

    example = example_of(return_url="http://localhost:3000/account", flow="cancel")

    return_url = _url("Where the portal leads back to.")
    flow = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf(FLOWS),
        metadata={"description": "Open the portal at this task; left out, at its first page."},
    )
    subscription_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"^sub_[A-Za-z0-9_]{1,250}\Z", error="Must be a sub_… id."),
        metadata={
            "description": "Which subscription to cancel or update; left out, the newest live one."
        },
    )

    @validates_schema
    def _needs_flow(self, body: dict[str, object], **_: object) -> None:
        if body.get("subscription_id") and body.get("flow") not in ("cancel", "update"):
            raise ValidationError("Goes with flow cancel or update only.", "subscription_id")


class PortalSchema(AnswerSchema):
    """Where to send the customer."""

    example = example_of(
        url="https://billing.stripe.com/p/session/test_YWNjdF8x",
        message="Portal session created successfully",
    )

    url = string("Stripe's portal; it is short-lived, so ask anew for each visit.")
    message = string("For people.")
