"""What all tables share: the metadata that they are in, and columns of one point in time."""

from sqlalchemy import Column, DateTime, MetaData, text

metadata = MetaData()

NOW = text("now()")


def time_column(name: str, *, nullable: bool = True, default_now: bool = False) -> Column[object]:
    """One point in time, UTC."""
    default = NOW if default_now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)
