"""Holds the checked-in TypeScript client to the API: a step of `test`, and a command.

`python -m dev.checks.clients` checks: the types are those of the OpenAPI document; client, React
hooks and example are well typed; the tests of the first two pass; the example builds. With
`--write` it writes the types anew first.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from dev.checks import node
from dev.checks.node import NodeFailedError, NodeUnavailableError
from ingest.app import ROUTES
from ingest.http import openapi

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "clients"
CLIENT, HOOKS, EXAMPLE = FOLDER / "typescript", FOLDER / "react", FOLDER / "react-example"
TYPES = CLIENT / "src" / "schema.ts"
TYPES_OF_TESTS = ("tsc", "--project", "tsconfig.test.json")
WRITE = "python -m dev.checks.clients --write"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with the clients, one text each; `skipped` says why nothing was found out."""

    found: Sequence[str] = ()
    skipped: str = ""


def document() -> str:
    """The OpenAPI document as the receiver serves it, as JSON."""
    return openapi.document(ROUTES)


def check() -> Checked:
    """Check everything; where Node or the registry is missing nothing fails."""
    return _guarded(_checked)


def write() -> Checked:
    """Write the types anew, then check everything."""

    def work() -> list[str]:
        TYPES.write_text(generated_types(), encoding="utf-8")
        return _checked()

    return _guarded(work)


def _guarded(work: Callable[[], list[str]]) -> Checked:
    try:
        node.install(FOLDER)
        return Checked(work())
    except NodeUnavailableError as error:
        return Checked(skipped=str(error))
    except NodeFailedError as error:
        return Checked([str(error)])


def _checked() -> list[str]:
    if TYPES.read_text(encoding="utf-8") != generated_types():
        return [f"{TYPES.relative_to(ROOT)} is not what the API says; run: {WRITE}"]
    # Each is built on the ones before it, so the order matters.
    for folder, words in (
        (CLIENT, ("tsc",)),
        (CLIENT, TYPES_OF_TESTS),
        (CLIENT, ("vitest", "run")),
        (HOOKS, ("tsc",)),
        (HOOKS, TYPES_OF_TESTS),
        (HOOKS, ("vitest", "run")),
        (EXAMPLE, ("tsc",)),
        (EXAMPLE, ("vite", "build", "--logLevel", "warn")),
    ):
        try:
            node.run(folder, *words)
        except NodeFailedError as error:
            return [f"{folder.relative_to(ROOT)}: {error}"]
    return []


def generated_types() -> str:
    """The types that the API's document gives, as TypeScript."""
    with tempfile.TemporaryDirectory(prefix="billing-clients-") as name:
        source, target = Path(name, "openapi.json"), Path(name, "schema.ts")
        source.write_text(document(), encoding="utf-8")
        # What has a default may be left out of a request.
        options = ("--default-non-nullable", "false", "--output", str(target))
        node.run(FOLDER, "openapi-typescript", str(source), *options)
        return target.read_text(encoding="utf-8")


@click.command()
@click.option("--write", "is_write", is_flag=True, help="Write the types anew first.")
def command(*, is_write: bool) -> None:
    """Check the TypeScript client, the React hooks and the example against the API."""
    result = write() if is_write else check()
    for text in result.found:
        click.echo(text)
    if result.found:
        raise SystemExit(1)
    click.echo(f"skipped: {result.skipped}" if result.skipped else "The clients fit the API.")


if __name__ == "__main__":
    command()
