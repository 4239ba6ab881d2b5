"""The schemas of access: features, why they are allowed or not, and what unlocks them."""

from marshmallow import fields

from domain.access.reasons import CODES
from ingest.account.schemas import PLAN_TYPES
from ingest.http.schemas import (
    AnswerSchema,
    boolean,
    choice,
    example_of,
    integer,
    string,
    timestamp,
)


class CheckoutCallSchema(AnswerSchema):
    """The body for the call that opens a checkout session."""

    example = example_of(plan_type="full", plan_id=3)

    plan_type = choice(*PLAN_TYPES, what="full: a plan with tokens; token: a token package.")
    plan_id = integer("The plan's number in the catalogue.")


class UnlockingSchema(AnswerSchema):
    """A plan on sale that unlocks a feature."""

    example = example_of(
        plan_id=3,
        plan_type="full",
        name="Pro yearly",
        limit=None,
        checkout=CheckoutCallSchema.example,
    )

    plan_id = integer("The plan's number in the catalogue.")
    plan_type = choice(*PLAN_TYPES, what="full: a plan with tokens; token: a token package.")
    name = string("What it is called.")
    limit = integer("What it is limited to; null where it has no limit.", allow_none=True)
    checkout = fields.Nested(
        CheckoutCallSchema,
        allow_none=True,
        metadata={
            "description": "The body for the checkout call; null for who has a full plan already"
            " and changes it in the portal."
        },
    )


class ReasonSchema(AnswerSchema):
    """Why a feature is allowed or not."""

    example = example_of(
        code="past_due",
        text="A payment for Pro monthly is missing; what it unlocks stays for now.",
    )

    code = choice(*CODES, what="For programs; more may come.")
    text = string("For people.")


class FeatureAccessSchema(AnswerSchema):
    """One feature, as it stands for the caller."""

    example = example_of(
        allowed=True,
        limit=5,
        why=ReasonSchema.example,
        until="2026-04-08T00:00:07+00:00",
        plan_id=2,
        held_by="sub_1QkX2eLkdIwHu7ix",
        unlocked_by=[],
    )

    allowed = boolean("Whether the caller may use it.")
    limit = integer(
        "Up to how many; null where there is no limit, 0 where it is not allowed.", allow_none=True
    )
    why = fields.Nested(ReasonSchema)
    until = timestamp("When allowed or limit changes by itself; null where nothing says so.")
    plan_id = integer("The plan that decides; null where none does.", allow_none=True)
    held_by = string(
        "The subscription (sub_…) or payment that this plan is held by.", allow_none=True
    )
    unlocked_by = fields.List(
        fields.Nested(UnlockingSchema),
        metadata={"description": "Plans on sale that unlock it; empty where it is allowed."},
    )


class AccessSchema(AnswerSchema):
    """What a user may use."""

    example = example_of(
        features={
            "priority_support": example_of(
                allowed=False,
                limit=0,
                why=example_of(code="not_included", text="No plan that is held includes it."),
                until=None,
                plan_id=None,
                held_by=None,
                unlocked_by=[{**UnlockingSchema.example, "checkout": None}],
            ),
            "seats": FeatureAccessSchema.example,
        },
        until="2026-04-08T00:00:07+00:00",
    )

    features = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(FeatureAccessSchema),
        metadata={"description": "Every feature of the catalogue, by its name."},
    )
    until = timestamp("When any of it changes by itself; null where nothing says so.")
