"""Says how a run went: a table, the first differences and a verdict, or the same as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from sandbox.simulate.compare import AREAS, Difference
from sandbox.simulate.delivery import Delivered
from sandbox.simulate.engine import Event
from sandbox.simulate.expected import Expectation
from sandbox.simulate.verification import Verification

_SHOWN_DIFFERENCES = 20

# The types that a run sends and the receiver acts on; it keeps every other one without acting.
_HANDLED = frozenset(
    [
        *(f"charge.dispute.{w}" for w in ("created", "updated", "closed")),
        *(f"charge.dispute.funds_{w}" for w in ("withdrawn", "reinstated")),
        *(f"checkout.session.async_payment_{w}" for w in ("succeeded", "failed")),
        *(f"checkout.session.{w}" for w in ("completed", "expired")),
        *(f"credit_note.{w}" for w in ("created", "updated", "voided")),
        *(f"customer.subscription.{w}" for w in ("created", "updated", "deleted")),
        *(f"customer.subscription.{w}" for w in ("paused", "resumed", "trial_will_end")),
        *(f"customer.{w}" for w in ("created", "updated", "deleted")),
        *(f"invoice.payment_{w}" for w in ("succeeded", "failed", "action_required")),
        *(f"invoice.{w}" for w in ("paid", "voided", "marked_uncollectible")),
        *(f"payment_intent.{w}" for w in ("succeeded", "payment_failed")),
        *(f"refund.{w}" for w in ("created", "updated", "failed")),
        "charge.refund.updated",
        "charge.refunded",
        "invoice_payment.paid",
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `ok` is None where a figure is neither right nor wrong."""

    what: str
    expected: str
    found: str
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, ready to be shown."""

    run: str
    seed: int
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...] = field(default=())

    @property
    def right(self) -> bool:
        """Whether everything is as it must be."""
        return not self.differences and all(row.ok is not False for row in self.rows)

    @property
    def verdict(self) -> str:
        """The last line: what it comes down to."""
        if self.right:
            asked = any(row.what == _right("access") for row in self.rows)
            what = "payment, ledger and access" if asked else "payment and ledger"
            return f"Right: every balance, subscription, {what} is what it must be."
        count = len(self.differences)
        if not count:
            return "Wrong: not every delivery was accepted, though what was compared is right."
        things = "1 difference" if count == 1 else f"{count:,} differences"
        return f"Wrong: {things} (run {self.run}, seed {self.seed})."

    def as_json(self) -> dict[str, object]:
        """Return the report for scripts."""
        return {
            "run": self.run,
            "seed": self.seed,
            "right": self.right,
            "verdict": self.verdict,
            "rows": [
                {"what": r.what, "expected": r.expected, "found": r.found, "ok": r.ok}
                for r in self.rows
            ],
            "differences": [
                {
                    "user_id": d.user_id,
                    "area": d.area,
                    "what": d.what,
                    "expected": d.expected,
                    "found": d.found,
                }
                for d in self.differences
            ],
        }


def make_report(
    *,
    run: str,
    seed: int,
    events: Sequence[Event],
    expectations: Sequence[Expectation],
    delivered: Delivered,
    verification: Verification,
) -> Report:
    """Put the figures of a run together."""
    rows = [
        *_correctness(expectations, verification.differences),
        Row(
            "deliveries accepted",
            f"{delivered.sent:,}",
            f"{delivered.accepted:,}",
            delivered.accepted == delivered.sent,
        ),
        *_figures(events, delivered, verification),
    ]
    return Report(run, seed, tuple(rows), verification.differences)


def _correctness(
    expectations: Sequence[Expectation], differences: Sequence[Difference]
) -> list[Row]:
    users = len(expectations)
    rows = [
        Row("users", f"{users:,}", ""),
        Row("payments", f"{sum(len(item.sales) for item in expectations):,}", ""),
        Row("subscriptions", f"{sum(len(item.subscriptions) for item in expectations):,}", ""),
        Row("tokens", f"{sum(item.balance for item in expectations):,}", ""),
    ]
    has_access = any(item.access for item in expectations)
    for area in AREAS if has_access else AREAS[:-1]:
        wrong = len({item.user_id for item in differences if item.area == area})
        rows.append(Row(_right(area), f"{users:,}", f"{users - wrong:,}", not wrong))
    return rows


def _right(area: str) -> str:
    return f"right {area}, users"


def _figures(
    events: Sequence[Event], delivered: Delivered, verification: Verification
) -> list[Row]:
    sending = max(delivered.ended - delivered.began, 1e-9)
    unknown = sum(event.type not in _HANDLED for event in events)
    applied, whole = "never all right", ""
    if verification.ready_at is not None:
        spent = max(verification.ready_at - delivered.began, sending)
        applied, whole = f"{len(events) / spent:,.0f}", f"{spent:.1f}"
    return [
        Row("events", "", f"{len(events):,}"),
        Row("of types only kept", "", f"{unknown:,}"),
        Row("duplicates", "", f"{delivered.duplicates:,}"),
        Row("tried again (5xx, no answer)", "", f"{delivered.retried:,}"),
        Row("accepted a second", "", f"{delivered.accepted / sending:,.0f}"),
        Row("applied a second", "", applied),
        Row("seconds to send", "", f"{sending:.1f}"),
        Row("seconds until all right", "", whole),
    ]


def show(report: Report, console: Console) -> None:
    """Print the table, the first differences and the verdict."""
    table = Table(title=f"simulate, run {report.run}, seed {report.seed}", title_justify="left")
    for heading in ("what", "expected", "found", "ok"):
        table.add_column(heading, overflow="fold")
    marks = {True: "[green]yes[/]", False: "[bold red]NO[/]", None: ""}
    for row in report.rows:
        table.add_row(row.what, row.expected, row.found, marks[row.ok])
    console.print(table)
    for difference in report.differences[:_SHOWN_DIFFERENCES]:
        console.print(f"  {difference}", markup=False, highlight=False, soft_wrap=True)
    hidden = len(report.differences) - _SHOWN_DIFFERENCES
    if hidden > 0:
        console.print(f"  … and {hidden:,} more; --json lists all")
    console.print(report.verdict, style="green" if report.right else "bold red")
