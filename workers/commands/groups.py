"""Groups of commands that answer a mistyped name with the one that was probably meant."""

import difflib
from collections.abc import Callable
from typing import Any

import click


class Suggesting(click.Group):
    """A group that says what else a wrong name may have been."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As every group does, with a suggestion where there is no such command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            meant = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {meant[0]}?" if meant else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


def suggesting(
    **attributes: Any,  # noqa: ANN401 - click's own types for a group's options.
) -> Callable[[Callable[..., Any]], Suggesting]:
    """`click.group`, with suggestions."""
    return click.group(cls=Suggesting, **attributes)
