"""`test`: style, types, import rules and every test, with real engines, in one command.

With arguments only pytest runs, and gets them; the engines are started all the same. The long
form breaks the running product for a quarter of an hour and publishes what came of it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from dev.checks import seclusion, steps
from dev.checks.shared_valkey import shared_valkey
from dev.checks.vulnerabilities import audit
from dev.up.engines import EngineError, PostgresEngine

CHECKS = (steps.STYLE, steps.FORMAT, steps.TYPES, steps.IMPORTS)
# The short fault runs want the machine for themselves: what is timed there is the product.
FAULTS = ("-m", "pytest", "-n", str(steps.PROCESSES), "-m", "faults", "tests/faults")
# One browser with one product, with nothing else to wait for.
BROWSER = ("-m", "pytest", "-m", "browser", "tests/browser")
# What is measured, and the floor below which the step fails, are in pyproject.toml. A part of the
# suite covers a part of the code, so that only the whole of it is measured.
MEASURED = ("--cov", "--cov-report=")
# One more than CI has cores: tests that wait for a process or a clock leave theirs to others.
TEST_PROCESSES = 3
TESTS = (
    *("-n", str(TEST_PROCESSES), "-m", "not faults and not faults_long and not browser"),
    *MEASURED,
)
# How many times as many examples each property is tried with when new ones are looked for.
EXPLORE_FACTOR = 20
EXPLORE = ("-n", str(steps.PROCESSES), "-m", "hypothesis", "--timeout", "3600", "tests")
# Each starts engines of its own, to kill them.
FAULTS_LONG = (
    ("faults", ("-m", "dev.faults.long")),
    ("long tests", ("-m", "pytest", "-m", "faults_long", "tests/faults", "tests/clients")),
)


# Its further arguments are those of `dev.machines`, such as `--seed 3`.
MACHINES = ("machines", ("-m", "dev.machines"))
BROKEN_BUILDS = ("broken builds", ("-m", "pytest", "-m", "faults_long", "tests/machines"))


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--faults-long", is_flag=True, help="Only the long fault runs; writes the page.")
@click.option("--machines", is_flag=True, help="Only the loss of machines; writes its page.")
@click.option("--explore", is_flag=True, help="Only properties, with many examples never tried.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(
    pytest_arguments: tuple[str, ...], *, faults_long: bool, machines: bool, explore: bool
) -> None:
    """Run every check and every test; with arguments, pytest with those and nothing else."""
    # Engines, checks and clients are not to be set up by this machine; tests see even less of it.
    seclusion.forget_settings()
    if faults_long:
        done = [steps.run(name, words) for name, words in FAULTS_LONG]
        sys.exit(1 if any(step.status for step in done) else 0)
    if machines:
        name, words = MACHINES
        done = [steps.run(name, (*words, *pytest_arguments)), steps.run(*BROKEN_BUILDS)]
        sys.exit(1 if any(step.status for step in done) else 0)
    if explore:
        os.environ["TEST_EXAMPLES_FACTOR"] = str(EXPLORE_FACTOR)
        pytest_arguments = EXPLORE
    done = [] if pytest_arguments else _checked()
    try:
        with _engines() as named:
            wanted = pytest_arguments or TESTS
            if not pytest_arguments:
                click.echo(steps.table(done))
            done.append(steps.run("tests", ("-m", "pytest", *wanted), named))
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    # Nothing is printed after pytest: its last line is the summary that people and tools look for.
    sys.exit(1 if any(step.status for step in done) else 0)


def _checked() -> list[steps.Step]:
    """Everything but the tests that are told of last."""
    from dev.checks import clients  # noqa: PLC0415 - the product reads the environment when imported.

    return [
        *(steps.run(*check) for check in CHECKS),
        steps.look("audit", audit),
        steps.look("clients", clients.check),
        steps.run("faults", FAULTS),
        steps.run("browser", BROWSER),
    ]


@contextmanager
def _engines() -> Iterator[Mapping[str, str]]:
    """One PostgreSQL and one Valkey for the whole run, as the variables that name them."""
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # The engines' user passes through, and sees nothing.
        # No test kills these two; those that need a crash start engines of their own.
        with (
            PostgresEngine(directory, durable=False) as postgres,
            shared_valkey(directory) as valkey,
        ):
            yield {"TEST_DATABASE_URL": postgres.url, "TEST_REDIS_URL": valkey.url}
