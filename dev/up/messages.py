"""What a library's error says, in one line for a person."""

from sqlalchemy.exc import DBAPIError


def first_line(error: Exception) -> str:
    """What a database says is wrong, without the statement and the advice below it."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().split("\n", 1)[0] or type(error).__name__
