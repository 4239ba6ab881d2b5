"""The command that prints a token, so that a developer can try the API without a login service."""

from datetime import UTC, datetime, timedelta

import click
import jwt

import settings


@click.command()
@click.option("--user", required=True, help="Whose token: the `sub` claim.")
@click.option("--scope", "scopes", multiple=True, help="A scope; may be repeated.")
@click.option(
    "--ttl-hours",
    type=click.FloatRange(min=0, min_open=True),
    default=24.0,
    show_default=True,
    help="How long it is valid.",
)
def issue_token(user: str, scopes: tuple[str, ...], ttl_hours: float) -> None:
    """Print a JWT for development."""
    try:
        configured = settings.load(("jwt_secret",))
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    if configured.jwt_jwks_url:
        raise click.ClickException(
            "JWT_JWKS_URL is set, so only tokens of that issuer are accepted: unset it to use"
            " tokens signed with JWT_SECRET."
        )
    click.echo(signed_token(configured, user, scopes, timedelta(hours=ttl_hours)))


def signed_token(
    configured: settings.Settings, user: str, scopes: tuple[str, ...], ttl: timedelta
) -> str:
    """A token that the API of these settings accepts; JWT_SECRET must be set."""
    now = datetime.now(UTC)
    claims: dict[str, object] = {"sub": user, "iat": now, "exp": now + ttl}
    optional = {
        "scope": " ".join(scopes),
        "aud": configured.jwt_audience,
        "iss": configured.jwt_issuer,
    }
    claims |= {name: value for name, value in optional.items() if value}
    return jwt.encode(claims, configured.jwt_secret, algorithm="HS256")
