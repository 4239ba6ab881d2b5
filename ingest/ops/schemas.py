"""The schemas of the public configuration, and of whether this process lives and is ready."""

from marshmallow import fields

from ingest.http.schemas import AnswerSchema, one_of, shown, truth, word

_DEPENDENCIES = ("database", "redis", "stream", "stripe", "authentication")


class ConfigSchema(AnswerSchema):
    """What a frontend needs to start."""

    example = shown(publishable_key="pk_test_example", currency="usd", test_mode=True, enabled=True)

    publishable_key = word("Stripe's publishable key; empty where none is set.")
    currency = word("The currency prices are shown in unless another is asked for.")
    test_mode = truth("Whether no real money moves.")
    enabled = truth("Whether anything can be bought.")


class AliveSchema(AnswerSchema):
    """A process that answers."""

    example = shown(status="ok")

    status = one_of("ok", what="Always ok.")


class DependencySchema(AnswerSchema):
    """How one dependency stands."""

    example = shown(ok=True, why="Redis answers")

    ok = truth("Whether it works.")
    why = word("What was found, for people.")


class ReadySchema(AnswerSchema):
    """How everything this process needs stands."""

    example = shown(
        status="ready", dependencies=dict.fromkeys(_DEPENDENCIES, DependencySchema.example)
    )

    status = one_of(
        *("ready", "degraded", "not_ready"),
        what="ready: all works; degraded: events can be stored; not_ready: they cannot.",
    )
    dependencies = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(DependencySchema),
        metadata={"description": "Each dependency by its name."},
    )
