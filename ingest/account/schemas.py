"""The schemas of what users ask of their own: plans, subscriptions, payments, tokens."""

from marshmallow import fields, validate

from domain.catalogue.plans import INTERVAL_COUNT_MAX
from ingest.http.schemas import (
    SAFE_INTEGER_MAX,
    AnswerSchema,
    BodySchema,
    PageQuerySchema,
    PageSchema,
    boolean,
    choice,
    example_of,
    integer,
    page_of,
    storable,
    string,
    timestamp,
)

PLAN_TYPES = ("full", "token")
PAYMENT_STATUSES = ("pending", "paid", "failed", "refunded", "partially_refunded", "disputed")
LEDGER_KINDS = ("grant", "debit", "reversal", "restore", "adjustment")
REASON_LENGTH_MAX = 500

_PLAN_TYPE = "full: a plan with tokens; token: a token package."


class PlansQuerySchema(PageQuerySchema):
    """Which plans to list."""

    currency = fields.String(
        load_default=None,
        validate=validate.Regexp(r"^[A-Za-z]{3}\Z", error="Must be a three-letter currency code."),
        metadata={
            "description": "Show this currency where a plan is sold in it.",
            "example": "eur",
        },
    )


class PlanSchema(AnswerSchema):
    """A plan or token package on sale."""

    example = example_of(
        id=1,
        plan_type="full",
        name="Pro monthly",
        description="For people who write every day.",
        tokens=10000,
        interval="month",
        interval_count=1,
        currency="usd",
        amount=2900,
        prices={"eur": 2700, "usd": 2900},
        trial_days=14,
        trial_tokens=500,
    )

    id = integer("The plan's number in the catalogue.")
    plan_type = choice(*PLAN_TYPES, what=_PLAN_TYPE)
    name = string("What it is called.")
    description = string("What is said of it; may be empty.")
    tokens = integer("Tokens per paid period, or per purchase.")
    interval = choice(
        *INTERVAL_COUNT_MAX,
        what="What it renews by; null where it is bought once.",
        allow_none=True,
    )
    interval_count = integer(
        "How many intervals a period has, 3 with month: quarterly; null where it is bought once.",
        allow_none=True,
    )
    currency = string("The currency of amount; null where it has no price.", allow_none=True)
    amount = integer("The price in minor units; null where it has none.", allow_none=True)
    prices = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Every currency it is sold in, in minor units."},
    )
    trial_days = integer(
        "How many days are free at first; checkout offers them once a user. 0: none."
    )
    trial_tokens = integer("Tokens that come when such a trial starts.")


class PlansSchema(PageSchema):
    """A page of plans."""

    example = page_of(PlanSchema.example)

    items = fields.List(fields.Nested(PlanSchema))


class SubscriptionItemSchema(AnswerSchema):
    """One thing subscribed to."""

    example = example_of(plan_id=1, quantity=1)

    plan_id = integer("Null while its price is not in the catalogue.", allow_none=True)
    quantity = integer("How many; null where Stripe did not tell.", allow_none=True)


class PauseSchema(AnswerSchema):
    """A pause of collection."""

    example = example_of(behavior="void", resumes_at="2026-05-01T00:00:00+00:00")

    behavior = string(
        "What becomes of invoices meanwhile: keep_as_draft, mark_uncollectible, void."
    )
    resumes_at = timestamp("When collection begins again, if that is known.")


class SubscriptionSchema(AnswerSchema):
    """A subscription as Stripe last reported it."""

    example = example_of(
        id="sub_1QkX2eLkdIwHu7ix",
        plan_id=1,
        plan_type="full",
        status="active",
        is_active=True,
        quantity=1,
        items=[SubscriptionItemSchema.example],
        current_period_start="2026-03-01T00:00:00+00:00",
        current_period_end="2026-04-01T00:00:00+00:00",
        cancel_at_period_end=False,
        cancel_at=None,
        canceled_at=None,
        trial_end=None,
        pause_collection=None,
    )

    id = string("Stripe's sub_… id.")
    plan_id = integer(
        "Of the first item whose price is known, else the one named.", allow_none=True
    )
    plan_type = choice(*PLAN_TYPES, what=_PLAN_TYPE, allow_none=True)
    status = string("As Stripe reports it; more words may come.")
    is_active = boolean("Whether the status is active, trialing or past_due.")
    quantity = integer("Of the same item as plan_id.", allow_none=True)
    items = fields.List(fields.Nested(SubscriptionItemSchema))
    current_period_start = timestamp("When the paid period began.")
    current_period_end = timestamp("When the paid period ends.")
    cancel_at_period_end = boolean("Whether it ends with the paid period.")
    cancel_at = timestamp("When it will end, if that is known.")
    canceled_at = timestamp("When it was canceled.")
    trial_end = timestamp("When the trial ends or ended.")
    pause_collection = fields.Nested(
        PauseSchema, allow_none=True, metadata={"description": "Null while Stripe collects."}
    )


class SubscriptionsSchema(PageSchema):
    """A page of subscriptions, newest first."""

    example = page_of(SubscriptionSchema.example)

    items = fields.List(fields.Nested(SubscriptionSchema))


class PaymentSchema(AnswerSchema):
    """A payment: an invoice or a one-time purchase. Amounts are in minor units."""

    example = example_of(
        id="in_1QkX2fLkdIwHu7ixZ",
        amount=2900,
        amount_refunded=0,
        amount_disputed=0,
        currency="usd",
        status="paid",
        plan_id=1,
        plan_type="full",
        subscription_id="sub_1QkX2eLkdIwHu7ix",
        tokens=10000,
        receipt_url=None,
        note=None,
        created_at="2026-03-01T00:00:07+00:00",
    )

    id = string("The invoice (in_…), else the checkout session (cs_…).")
    amount = integer("What was paid; for an unpaid one, what is due.")
    amount_refunded = integer("Refunds that are neither failed nor canceled, pending ones too.")
    amount_disputed = integer("Funds withdrawn and not reinstated.")
    currency = string("Null while it is not known.", allow_none=True)
    status = choice(*PAYMENT_STATUSES, what="How it stands.")
    plan_id = integer("Null while it is not known.", allow_none=True)
    plan_type = choice(*PLAN_TYPES, what=_PLAN_TYPE, allow_none=True)
    subscription_id = string("Stripe's sub_… id; null for a one-time purchase.", allow_none=True)
    tokens = integer("What this payment stands for now.")
    receipt_url = string("Where Stripe shows the receipt or invoice.", allow_none=True)
    note = string("Why a paid payment is worth nothing yet, in words.", allow_none=True)
    created_at = timestamp("When it was made.")


class PaymentsSchema(PageSchema):
    """A page of payments, newest first."""

    example = page_of(PaymentSchema.example)

    items = fields.List(fields.Nested(PaymentSchema))


class BalanceSchema(AnswerSchema):
    """A token balance."""

    example = example_of(balance=12000, updated_at="2026-03-01T00:00:09+00:00")

    balance = integer("May be below zero after a refund or dispute of tokens already spent.")
    updated_at = timestamp("When it last changed; null when it never did.")


class LedgerEntrySchema(AnswerSchema):
    """One line of the ledger."""

    example = example_of(
        id=412,
        delta=10000,
        kind="grant",
        balance_after=12000,
        payment_id="in_1QkX2fLkdIwHu7ixZ",
        event_id="evt_1QkX2gLkdIwHu7ix",
        reason="invoice paid",
        created_at="2026-03-01T00:00:09+00:00",
    )

    id = integer("Grows with every entry.")
    delta = integer("By how much the balance moved.")
    kind = choice(*LEDGER_KINDS, what="Why it moved.")
    balance_after = integer("The balance with this entry.")
    payment_id = string("The payment it follows from, as it is known now.", allow_none=True)
    event_id = string("Stripe's event that caused it.", allow_none=True)
    reason = string("Why, for people.")
    created_at = timestamp("When it was posted.", allow_none=False)


class LedgerSchema(PageSchema):
    """A page of the ledger, newest first."""

    example = page_of(LedgerEntrySchema.example)

    items = fields.List(fields.Nested(LedgerEntrySchema))


class DebitSchema(LedgerEntrySchema):
    """The ledger entry of a debit."""

    example = example_of(
        id=413,
        delta=-5,
        kind="debit",
        balance_after=11995,
        payment_id=None,
        event_id=None,
        reason="summary of document 77",
        created_at="2026-03-01T08:30:00+00:00",
    )


class DebitBodySchema(BodySchema):
    """What to debit, and for what."""

    example = example_of(amount=5, reason="summary of document 77")

    amount = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(1, SAFE_INTEGER_MAX),
        metadata={"description": "How many tokens."},
    )
    reason = fields.String(
        required=True,
        validate=[validate.Length(1, REASON_LENGTH_MAX), storable],
        metadata={"description": "What they were spent on, for people; kept in the ledger."},
    )
