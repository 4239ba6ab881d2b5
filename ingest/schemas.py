"""The shapes of requests and answers, as marshmallow checks and OpenAPI shows them."""

from datetime import UTC

from marshmallow import Schema, fields, validate

from ingest.pages import LIMIT_DEFAULT, LIMIT_MAX

PLAN_TYPES = ("full", "token")
PAYMENT_STATUSES = ("pending", "paid", "failed", "refunded", "partially_refunded", "disputed")
LEDGER_KINDS = ("grant", "debit", "reversal", "restore", "adjustment")


def _time(what: str) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        format="iso", default_timezone=UTC, allow_none=True, metadata={"description": what}
    )


def _whole(what: str, *, allow_none: bool = False) -> fields.Integer:
    return fields.Integer(allow_none=allow_none, metadata={"description": what})


def _word(what: str, *, allow_none: bool = False) -> fields.String:
    return fields.String(allow_none=allow_none, metadata={"description": what})


def _one_of(*words: str) -> fields.String:
    return fields.String(validate=validate.OneOf(words))


class ProblemSchema(Schema):
    """An error (RFC 9457)."""

    type = _word("Always about:blank; tell errors apart by code.")
    title = _word("The status in words.")
    status = _whole("The HTTP status.")
    detail = _word("What is wrong, for people.")
    code = _word("What is wrong, for programs; never changes.")
    errors = fields.Dict(metadata={"description": "Which inputs are not valid, and why."})


class ReceivedSchema(Schema):
    """The answer to Stripe."""

    received = fields.Boolean()


class PageQuerySchema(Schema):
    """Which part of a list to answer with."""

    limit = fields.Integer(
        load_default=LIMIT_DEFAULT,
        validate=validate.Range(1, LIMIT_MAX),
        metadata={"description": "How many items at most."},
    )
    cursor = fields.String(
        load_default=None, metadata={"description": "The next_cursor of the page before."}
    )


class PlansQuerySchema(PageQuerySchema):
    """Which plans to list."""

    currency = fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[A-Za-z]{3}$", error="Must be a three-letter currency code."),
        metadata={"description": "Show this currency where a plan is sold in it."},
    )


class PageSchema(Schema):
    """What every list has."""

    next_cursor = _word(
        "Pass it as cursor to get the next page; null on the last.", allow_none=True
    )


class PlanSchema(Schema):
    """A plan or token package on sale."""

    id = _whole("The plan's number in the catalogue.")
    plan_type = _one_of(*PLAN_TYPES)
    name = fields.String()
    description = fields.String()
    tokens = _whole("Tokens per paid period, or per purchase.")
    interval = _word("month or year; null for a one-time purchase.", allow_none=True)
    currency = _word("The currency of amount.", allow_none=True)
    amount = _whole("The price in minor units.", allow_none=True)
    prices = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Every currency it is sold in, in minor units."},
    )


class PlansSchema(PageSchema):
    """A page of plans."""

    items = fields.List(fields.Nested(PlanSchema))


class SubscriptionItemSchema(Schema):
    """One thing subscribed to."""

    plan_id = _whole("Null while its price is not in the catalogue.", allow_none=True)
    quantity = fields.Integer(allow_none=True)


class SubscriptionSchema(Schema):
    """A subscription as Stripe last reported it."""

    id = _word("Stripe's sub_… id.")
    plan_id = _whole("The plan of the first item that has one.", allow_none=True)
    plan_type = fields.String(allow_none=True, validate=validate.OneOf(PLAN_TYPES))
    status = _word("As Stripe reports it.")
    is_active = fields.Boolean(
        metadata={"description": "Whether the status is active, trialing or past_due."}
    )
    quantity = fields.Integer(allow_none=True)
    items = fields.List(fields.Nested(SubscriptionItemSchema))
    current_period_start = _time("When the paid period began.")
    current_period_end = _time("When the paid period ends.")
    cancel_at_period_end = fields.Boolean()
    cancel_at = _time("When it will end, if that is known.")
    canceled_at = _time("When it was canceled.")
    trial_end = _time("When the trial ends or ended.")


class SubscriptionsSchema(PageSchema):
    """A page of subscriptions, newest first."""

    items = fields.List(fields.Nested(SubscriptionSchema))


class PaymentSchema(Schema):
    """A payment: an invoice or a one-time purchase. Amounts are in minor units."""

    id = _word("The invoice (in_…), else the checkout session (cs_…).")
    amount = _whole("What was paid; for an unpaid one, what is due.")
    amount_refunded = fields.Integer()
    amount_disputed = fields.Integer()
    currency = fields.String(allow_none=True)
    status = _one_of(*PAYMENT_STATUSES)
    plan_id = fields.Integer(allow_none=True)
    plan_type = fields.String(allow_none=True, validate=validate.OneOf(PLAN_TYPES))
    subscription_id = fields.String(allow_none=True)
    tokens = _whole("What this payment stands for now.")
    receipt_url = fields.String(allow_none=True)
    created_at = _time("When it was made.")


class PaymentsSchema(PageSchema):
    """A page of payments, newest first."""

    items = fields.List(fields.Nested(PaymentSchema))


class BalanceSchema(Schema):
    """A token balance."""

    balance = fields.Integer()
    updated_at = _time("When it last changed; null when it never did.")


class LedgerEntrySchema(Schema):
    """One line of the ledger."""

    id = fields.Integer()
    delta = fields.Integer()
    kind = _one_of(*LEDGER_KINDS)
    balance_after = fields.Integer()
    payment_id = fields.String(allow_none=True)
    event_id = fields.String(allow_none=True)
    reason = fields.String()
    created_at = _time("When it was posted.")


class LedgerSchema(PageSchema):
    """A page of the ledger, newest first."""

    items = fields.List(fields.Nested(LedgerEntrySchema))


class ConfigSchema(Schema):
    """What a frontend needs to start."""

    publishable_key = fields.String()
    currency = fields.String()
    test_mode = fields.Boolean()
    enabled = fields.Boolean()
