"""The second endpoint beside ours, which a rotation and an upgrade both make.

It is made and at once disabled, because nobody knows its secret yet; it is enabled when every
receiver does. Each step is noted, so a change that was broken off goes on where it stood.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from db.endpoints import changes
from db.endpoints.changes import Change, Purpose, State
from db.endpoints.own import hash_of
from domain.endpoints.endpoint import Endpoint, Kind, Wanted
from domain.errors import BillingError
from workers.endpoints import receivers
from workers.endpoints.receivers import Verdict
from workers.endpoints.remote import RemoteEndpoints

Say = Callable[[str], None]
VARIABLE = "STRIPE_WEBHOOK_SECRET"


class EndpointChangeError(BillingError):
    """A change of our endpoint cannot begin or go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a change works with.

    `secrets` are those of this process' own settings; a secret that Stripe told earlier is found
    among them. `say` tells a person. `is_deployed` says that a person vouches for the receivers.
    """

    engine: Engine
    remote: RemoteEndpoints
    secrets: Sequence[str]
    say: Say
    is_deployed: bool = False
    _told: set[str] = field(default_factory=set)

    def say_once(self, words: str) -> None:
        """Tell a person what they may have been told already."""
        if words not in self._told:
            self._told.add(words)
            self.say(words)


def begun(
    tools: Tools, purpose: Purpose, old: Endpoint, versions: tuple[str, str], asked_by: str
) -> Change:
    """A new change, from one version to another."""
    with tools.engine.begin() as connection:
        return changes.begin(
            connection,
            purpose,
            kind=old.kind.value,
            url=old.url,
            old_id=old.id,
            from_version=versions[0],
            to_version=versions[1],
            asked_by=asked_by,
        )


def under_way(tools: Tools, purpose: Purpose, version: str = "") -> Change | None:
    """The change of this purpose that is under way, if any.

    Raises `EndpointChangeError` where another change is, or an upgrade to another version.
    """
    with tools.engine.connect() as connection:
        change = changes.under_way(connection)
    if change is None:
        return None
    if change.purpose is not purpose or (version and change.to_version != version):
        what = f"an upgrade to {change.to_version}"
        what = what if change.purpose is Purpose.UPGRADE else "a rotation"
        raise EndpointChangeError(
            f"{what} is under way: finish it, or end it with"
            f" `webhook_endpoint {change.purpose} --give-up`."
        )
    return change


def made(tools: Tools, change: Change, wanted: Wanted) -> tuple[Change, str]:
    """The change with its second endpoint, which does not deliver yet; and its secret.

    The secret is empty where neither this run made the endpoint nor our settings hold it.
    """
    there = tools.remote.every()
    if change.state is State.MADE and not any(each.id == change.new_id for each in there):
        with tools.engine.begin() as connection:
            changes.unmade(connection, change)
        change = _again(tools, change)
    if change.state is not State.BEGUN:
        return change, _known_secret(tools, change)
    kind, mark = Kind(change.kind), f"{change.purpose}-{change.id}"
    for endpoint in there:
        if endpoint.mark == mark:
            # An earlier run made it, and its secret was never seen by anybody.
            tools.remote.delete(kind, endpoint.id)
    new = tools.remote.create(kind, wanted, mark)
    tools.remote.set_enabled(kind, new.endpoint.id, is_enabled=False)
    with tools.engine.begin() as connection:
        is_noted = changes.made(connection, change, new.endpoint.id, hash_of(new.secret))
    if not is_noted:
        tools.remote.delete(kind, new.endpoint.id)
        raise EndpointChangeError("somebody else goes on with this change at the same time.")
    _tell_secret(tools, new.endpoint, new.secret)
    return _again(tools, change), new.secret


def _tell_secret(tools: Tools, endpoint: Endpoint, secret: str) -> None:
    tools.say(f"{endpoint.id} is made and delivers nothing yet.")
    tools.say(f"Its secret, which is not shown again: {secret}")
    tools.say(
        f"Add it to {VARIABLE} of every receiver and of this command, behind the one that is"
        " there, separated by a comma, and restart the receivers one by one."
    )


def _known_secret(tools: Tools, change: Change) -> str:
    return next((each for each in tools.secrets if hash_of(each) == change.secret_hash), "")


def is_known(tools: Tools, change: Change, secret: str) -> bool:
    """Whether every receiver knows the secret of the second endpoint; says so where not."""
    if change.state is not State.MADE or tools.is_deployed:
        return True
    if not secret:
        tools.say(
            f"The secret of {change.new_id} is not in {VARIABLE} here: add it, so that the"
            " receivers can be asked for it; or say --deployed if all of them have it."
        )
        return False
    asked = receivers.know(change.url, secret)
    if asked.verdict is Verdict.UNCLEAR:
        # A receiver that is restarted does not answer for a moment.
        tools.say_once(
            f"Whether the receivers know the new secret cannot be told: {asked.says}. They are"
            " asked again. Run this where they can be reached, or with --deployed if all have it."
        )
    return asked.verdict is Verdict.KNOWN


def enabled(tools: Tools, change: Change) -> Change:
    """The change with both endpoints delivering."""
    if change.state is not State.MADE:
        return change
    tools.remote.set_enabled(Kind(change.kind), change.new_id or "", is_enabled=True)
    with tools.engine.begin() as connection:
        changes.enabled(connection, change)
    return _again(tools, change)


def given_up(tools: Tools, purpose: Purpose) -> bool:
    """End a change without its effect: the second endpoint goes. False where none is under way.

    Raises `EndpointChangeError` where it has had its effect already.
    """
    with tools.engine.connect() as connection:
        change = changes.under_way(connection)
    if change is None or change.purpose is not purpose:
        return False
    if change.state is State.SWITCHED:
        raise EndpointChangeError(
            "it has switched already: run it again, so that the old endpoint is removed."
        )
    mark = f"{change.purpose}-{change.id}"
    for endpoint in tools.remote.every():
        if endpoint.mark == mark or endpoint.id == change.new_id:
            tools.remote.delete(endpoint.kind, endpoint.id)
    with tools.engine.begin() as connection:
        changes.end(connection, change, State.GIVEN_UP)
    return True


def _again(tools: Tools, change: Change) -> Change:
    with tools.engine.connect() as connection:
        current = changes.under_way(connection)
    if current is None or current.id != change.id:
        raise EndpointChangeError("somebody else has ended this change meanwhile.")
    return current
