"""`doctor --api-version`: whether an endpoint may be upgraded, in words and by the exit status."""

import pytest
from click.testing import CliRunner

from domain.decode import paths
from domain.decode.paths import Place, Reading
from workers.commands.doctor import doctor


def asked(version: str) -> tuple[int, str]:
    """The exit status and what is printed."""
    answer = CliRunner().invoke(doctor, ["--api-version", version])
    return answer.exit_code, answer.output


@pytest.mark.parametrize("version", ["2024-06-20", "2025-02-24.acacia", "2026-10-28.endive"])
def test_a_version_whose_paths_are_known_is_safe(version: str) -> None:
    """No settings, no database and no Stripe is needed for it."""
    status, said = asked(version)
    assert status == 0
    assert f"an endpoint may be at {version}" in said


def test_what_a_version_does_not_tell_is_said() -> None:
    """With what tells it instead."""
    _, said = asked("2025-03-31.basil")
    assert "payment_intent: the invoice that it pays is not told" in said
    assert "invoice_payment.paid" in said


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2027-03-30.fjord", "newer than what paths were held to"),
        ("2019-12-03", "older than what paths were held to"),
        ("latest", "'latest' is no version"),
    ],
)
def test_a_version_that_nobody_knows_is_not_safe(version: str, words: str) -> None:
    """It may be, but nothing here can say so."""
    status, said = asked(version)
    assert status == 1
    assert words in said


def test_a_version_without_a_path_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else tells the same."""
    lost = Reading("invoice", "what it is over", (Place("total", until="2026-01-01"),))
    monkeypatch.setattr(paths, "READINGS", (*paths.READINGS, lost))
    status, said = asked("2026-10-28.endive")
    assert status == 1
    assert "2026-10-28.endive has no place that tells of invoice: what it is over" in said
    assert "may be" not in said
