"""A worker that tells nobody of anything: beside it is seen what the outbox costs.

The product has no such switch. Run as `python -m bench.without_outbox worker`.
"""

from db.outbox import changes, messages
from workers.commands.command_line import main


def _nothing(*_arguments: object, **_options: object) -> tuple[()]:
    return ()


def take_away() -> None:
    """From now on this process writes no message, and works none out."""
    for name in ("of_payments", "of_subscriptions", "of_tokens", "of_access"):
        setattr(changes, name, _nothing)
    messages.write = lambda *_: set()


if __name__ == "__main__":
    take_away()
    main()
