"""What becomes of a contract's items, and when the difference is billed. No I/O."""

from dataclasses import dataclass
from fractions import Fraction

from sandbox.simulate.billing import interval_after, part_line, remember, whole_line
from sandbox.simulate.contract_records import Customer, Item, Line, Price, Subscription
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.billing.items import InvoiceItem, invoice_item_object, item_id_of
from sandbox.stripe.paying.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one item; one without an id is new."""

    item_id: str = ""
    price: Price | None = None
    quantity: int | None = None
    deleted: bool = False


class Changing(Keeping):
    """Items that wait for an invoice, and contracts whose items change."""

    def add_item(
        self,
        customer: Customer,
        line: Line,
        subscription: Subscription | None = None,
        invoice: Invoice | None = None,
        metadata: dict[str, str] | None = None,
    ) -> InvoiceItem:
        """Let a line wait for the customer's next invoice, or put it on a draft."""
        item = InvoiceItem(item_id_of(line), customer, line, self.now, subscription, invoice)
        item.metadata = metadata or {}
        self.keep(item)
        if invoice:
            invoice.lines.append(line)
        self.emit("invoiceitem.created", invoice_item_object(item), customer)
        return item

    def drop_item(self, item: InvoiceItem) -> None:
        """Take a line back before it is billed."""
        if item.invoice:
            item.invoice.lines = [one for one in item.invoice.lines if one.id != item.line.id]
        del self.records[item.id]
        self.emit("invoiceitem.deleted", invoice_item_object(item), item.customer)

    def drop_invoice(self, invoice: Invoice) -> None:
        """Throw a draft away; what it would have billed waits again."""
        for item in self.every(InvoiceItem):
            if item.invoice is invoice:
                item.invoice = None
        del self.records[invoice.id], self.invoices[invoice.id]
        self.emit("invoice.deleted", invoice_object(invoice), invoice.customer)

    def pending(self, customer: Customer, subscription: Subscription | None) -> list[InvoiceItem]:
        """What waits for an invoice of a contract, or of the customer alone; oldest first."""
        return [
            one
            for one in self.records.values()
            if isinstance(one, InvoiceItem)
            and one.customer is customer
            and one.invoice is None
            and one.subscription in (None, subscription)
        ]

    def _period_lines(self, subscription: Subscription, *, trial: bool = False) -> list[Line]:
        waiting = [one.line for one in self.pending(subscription.customer, subscription)]
        return [*waiting, *super()._period_lines(subscription, trial=trial)]

    def drafted(self, invoice: Invoice) -> None:
        """Note which invoice the items that waited are on."""
        billed = {line.id for line in invoice.lines}
        for item in self.pending(invoice.customer, invoice.subscription):
            if item.line.id in billed:
                item.invoice = invoice

    def change_items(
        self, subscription: Subscription, changes: list[Change], behavior: str
    ) -> Invoice | None:
        """Change items now; returns the invoice where the difference is billed at once.

        Another interval begins a new period, which is billed at once whatever the behavior.
        """
        before = subscription_object(subscription)
        trialing, anchor = subscription.status == "trialing", subscription.anchor
        lines: list[Line] = []
        for change in changes:
            lines += self._changed(subscription, change)
        self.report(subscription, before, by_stripe=False)
        if trialing:
            return None
        renewed = subscription.anchor != anchor
        if behavior == "none":
            lines = [line for line in lines if renewed and not line.proration]
        # At the end of a period nothing of it is left to bill.
        lines = [line for line in lines if not (line.proration and line.share == 0)]
        if not lines:
            return None
        if behavior == "create_prorations" and not renewed:
            for line in lines:
                self.add_item(subscription.customer, line, subscription)
            return None
        return self.bill_now(subscription, lines)

    def cancel_at(self, subscription: Subscription, at: int) -> None:
        """Schedule the end for a moment."""
        before = subscription_object(subscription)
        subscription.cancel_at, subscription.canceled_at = at, self.now
        subscription.cancel_at_period_end = False
        subscription.cancel_reason = "cancellation_requested"
        self.report(subscription, before, by_stripe=False)

    def cancel_now(self, subscription: Subscription, *, prorate: bool, bill: bool) -> None:
        """End a contract; where it is asked, give back what is left, and bill what waits."""
        if prorate and subscription.status != "trialing":
            share = self._share(subscription)
            back = part_line(self, subscription, -share, subscription.discounts)
            lines = [back, *(self._part(subscription, one, -share) for one in subscription.more)]
            for line in lines:
                self.add_item(subscription.customer, line, subscription)
        if bill and self.pending(subscription.customer, subscription):
            self.bill_now(subscription, [])
        self.close(subscription)

    def bill_now(self, subscription: Subscription, lines: list[Line]) -> Invoice:
        """Bill some lines of a contract, and what waits for it, and try to collect."""
        waiting = [one.line for one in self.pending(subscription.customer, subscription)]
        before = subscription_object(subscription)
        invoice = self.new_invoice(
            subscription.customer, "subscription_update", [*waiting, *lines], subscription
        )
        remember(subscription, invoice.id, lines)
        self.report(subscription, before)
        self.finalize(invoice)
        self.attempt(invoice)
        return invoice

    def _changed(self, subscription: Subscription, change: Change) -> list[Line]:
        if not change.item_id:
            return self._added(subscription, change)
        if change.item_id == subscription.item_id:
            return self._main_changed(subscription, change)
        item = next(one for one in subscription.more if one.id == change.item_id)
        share = self._share(subscription)
        lines = [self._part(subscription, item, -share)]
        place = subscription.more.index(item)
        if change.deleted:
            del subscription.more[place]
            return lines
        quantity = item.quantity if change.quantity is None else change.quantity
        new = Item(item.id, change.price or item.price, quantity, item.plan)
        subscription.more[place] = new
        return [*lines, self._part(subscription, new, share)]

    def _added(self, subscription: Subscription, change: Change) -> list[Line]:
        if change.price is None:
            raise ValueError("a new item has a price")
        quantity = 1 if change.quantity is None else change.quantity
        item = Item(self.new_id("si", 14), change.price, quantity)
        subscription.more.append(item)
        return [self._part(subscription, item, self._share(subscription))]

    def _main_changed(self, subscription: Subscription, change: Change) -> list[Line]:
        share, discounts = self._share(subscription), subscription.discounts
        back = part_line(self, subscription, -share, discounts)
        if change.deleted:
            heir = subscription.more.pop(0)
            subscription.item_id, subscription.price = heir.id, heir.price
            subscription.quantity, subscription.billed = heir.quantity or 0, None
            return [back]
        old = subscription.price.plan
        subscription.price = change.price or subscription.price
        if change.quantity is not None:
            subscription.quantity = change.quantity
        new = subscription.price.plan
        same = (new.interval, new.interval_count) == (old.interval, old.interval_count)
        if same or subscription.status == "trialing":
            return [back, part_line(self, subscription, share, discounts)]
        self.begin_period(subscription)
        return [back, whole_line(self, subscription)]

    def begin_period(self, subscription: Subscription) -> None:
        """Begin a period now, from which all later ones are counted."""
        subscription.anchor = subscription.period_start = self.now
        subscription.turns = 1
        subscription.period_end = interval_after(subscription, self.now, 1)

    def _share(self, subscription: Subscription) -> Fraction:
        start = subscription.period_start
        whole = max(1, subscription.period_end - start)
        return Fraction(max(0, subscription.period_end - self.now), whole)

    def _part(self, subscription: Subscription, item: Item, share: Fraction) -> Line:
        quantity = item.quantity or 0
        time = "Unused" if share < 0 else "Remaining"
        return Line(
            id=self.new_id("il"),
            amount=round(item.price.unit_minor * quantity * share),
            description=f"{time} time on {quantity} x {item.price.plan.name}",
            price=item.price,
            plan=item.plan,
            quantity=quantity,
            period_start=self.now,
            period_end=subscription.period_end,
            proration=True,
            item_id=item.id,
            share=share,
        )
