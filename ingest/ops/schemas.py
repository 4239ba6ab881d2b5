"""The schemas of the public configuration, and of whether this process lives and is ready."""

from marshmallow import fields

from ingest.http.schemas import AnswerSchema, boolean, choice, example_of, string

_DEPENDENCIES = ("database", "redis", "stream", "stripe", "authentication")


class ConfigSchema(AnswerSchema):
    """What a frontend needs to start."""

    example = example_of(
        publishable_key="pk_test_example", currency="usd", test_mode=True, enabled=True
    )

    publishable_key = string("Stripe's publishable key; empty where none is set.")
    currency = string("The currency prices are shown in unless another is asked for.")
    test_mode = boolean("Whether no real money moves.")
    enabled = boolean("Whether anything can be bought.")


class AliveSchema(AnswerSchema):
    """A process that answers."""

    example = example_of(status="ok")

    status = choice("ok", what="Always ok.")


class DependencySchema(AnswerSchema):
    """How one dependency stands."""

    example = example_of(ok=True, why="Redis answers")

    ok = boolean("Whether it works.")
    why = string("What was found, for people.")


class ReadySchema(AnswerSchema):
    """How everything this process needs stands."""

    example = example_of(
        status="ready", dependencies=dict.fromkeys(_DEPENDENCIES, DependencySchema.example)
    )

    status = choice(
        *("ready", "degraded", "not_ready"),
        what="ready: all works; degraded: events can be stored; not_ready: they cannot.",
    )
    dependencies = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(DependencySchema),
        metadata={"description": "Each dependency by its name."},
    )
