"""What the schemas of requests and answers have in common: base schemas and fields.

Every schema has an example, which the OpenAPI document shows and a test holds against the schema.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from ingest.http.pagination import LIMIT_DEFAULT, LIMIT_MAX

# The largest integer that JavaScript, which counts in doubles, holds exactly.
SAFE_INTEGER_MAX = 2**53 - 1

Example = Mapping[str, Any]


class AnswerSchema(Schema):
    """An answer: every field is always there, and more may be added one day."""

    example: ClassVar[Example] = {}

    class Meta:
        """Readers must accept members that are added later."""

        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Document the field as always there."""
        super().on_bind_field(field_name, field_obj)
        field_obj.required = True


class BodySchema(Schema):
    """The body of a request; an unknown member is refused, because it may be misspelt."""

    example: ClassVar[Example] = {}

    class Meta:
        """Refuse unknown members."""

        unknown = RAISE


class PageQuerySchema(Schema):
    """Which part of a list to answer with."""

    class Meta:
        """Ignore unknown parameters."""

        unknown = EXCLUDE

    limit = fields.Integer(
        load_default=LIMIT_DEFAULT,
        validate=validate.Range(1, LIMIT_MAX),
        metadata={"description": "How many items at most.", "example": LIMIT_DEFAULT},
    )
    cursor = fields.String(
        load_default=None,
        metadata={
            "description": "The next_cursor of the page before; leave it out for the first page."
        },
    )


class PageSchema(AnswerSchema):
    """What every list has."""

    next_cursor = fields.String(
        allow_none=True,
        metadata={"description": "Pass it as cursor to get the next page; null on the last."},
    )


class ProblemSchema(Schema):
    """An error (RFC 9457); some codes tell more members than these."""

    class Meta:
        """Readers must accept members that are added later."""

        unknown = EXCLUDE

    type = fields.String(
        required=True, metadata={"description": "Always about:blank; tell errors apart by code."}
    )
    title = fields.String(required=True, metadata={"description": "The status in words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(required=True, metadata={"description": "What is wrong, for people."})
    code = fields.String(
        required=True, metadata={"description": "What is wrong, for programs; never changes."}
    )
    errors = fields.Dict(metadata={"description": "Which inputs are not valid, and why."})


def example_of(**members: Any) -> Example:  # noqa: ANN401 - an example is whatever its schema wants.
    """An example with these members."""
    return members


def page_of(item: Example) -> Example:
    """The example of a list, from that of an item."""
    return example_of(items=[item], next_cursor=None)


def timestamp(what: str, *, allow_none: bool = True) -> fields.AwareDateTime:
    """A field that holds a time, in UTC."""
    return fields.AwareDateTime(
        format="iso",
        default_timezone=UTC,
        allow_none=allow_none,
        metadata={"description": what},
    )


def integer(what: str, *, allow_none: bool = False) -> fields.Integer:
    """A field that holds a whole number."""
    return fields.Integer(allow_none=allow_none, metadata={"description": what})


def string(what: str, *, allow_none: bool = False) -> fields.String:
    """A field that holds a text."""
    return fields.String(allow_none=allow_none, metadata={"description": what})


def boolean(what: str) -> fields.Boolean:
    """A field that holds true or false."""
    return fields.Boolean(metadata={"description": what})


def choice(*words: str, what: str, allow_none: bool = False) -> fields.String:
    """A field that holds one of these words."""
    return fields.String(
        allow_none=allow_none, validate=validate.OneOf(words), metadata={"description": what}
    )


def storable(text: str) -> None:
    """A validator: refuses what PostgreSQL cannot keep, and what no person could read."""
    if "\0" in text:
        raise ValidationError("Must not contain NUL.")
    if not text.strip():
        raise ValidationError("Must not be blank.")
