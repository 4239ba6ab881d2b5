"""Credit notes: an invoice made smaller, before it was paid or after."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.json_values import integer_of, list_of, mapping_of, reference_of
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import Kind, MoneyObject


def credit_note(source: Source) -> list[Fact]:
    """A credit note, in whatever status it has; a voided one took nothing."""
    invoice_id = source.required_reference("invoice")
    is_void = source.object.get("status") == "void" or source.event.type == "credit_note.voided"
    note = CreditNote(
        id=source.required_id(),
        target_id=invoice_id,
        amount_minor=source.required_amount("amount"),
        is_void=is_void,
        refunds=_refunds(source),
    )
    return [*source.customer_link(), MoneyObject(invoice_id, Kind.INVOICE), note]


def _refunds(source: Source) -> dict[str, int]:
    """The refunds that paid the note out, by id: one named before 2025-03-31, since then a list."""
    named = reference_of(source.object.get("refund"))
    if named:
        return {named: integer_of(source.object.get("amount")) or 0}
    listed = source.object.get("refunds")
    entries = listed if isinstance(listed, list) else list_of(listed)
    return {
        refund_id: integer_of(entry.get("amount_refunded")) or 0
        for entry in map(mapping_of, entries)
        if (refund_id := reference_of(entry.get("refund")))
    }
