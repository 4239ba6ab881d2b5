"""Which cards a customer has, and which one pays."""

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.cards import Card
from sandbox.stripe.paying.methods import Method, method_object
from sandbox.stripe.selling import Selling


class Holding(Selling):
    """Cards of customers."""

    def set_card(self, customer: Customer, card: Card) -> None:
        """Make a card the customer's means of payment, a new one unless it is theirs already."""
        if customer.card_number != card.number:
            self.use_method(customer, self.add_method(card, customer))

    def use_method(self, customer: Customer, method: Method) -> None:
        """Make a payment method the one that a customer pays with."""
        card = method.card
        customer.method_id = method.id
        customer.card_number, customer.card_brand = card.number, card.brand
        customer.card_last4 = card.last4

    def add_method(self, card: Card, customer: Customer | None = None) -> Method:
        """Keep a card, of a customer or of nobody yet."""
        method = Method(self.new_id("pm"), card.number, self.now, customer)
        self.keep(method)
        return method

    def attach(self, method: Method, customer: Customer) -> None:
        """Let a customer keep a card."""
        if method.customer is customer:
            return
        method.customer = customer
        self.emit("payment_method.attached", method_object(method), customer)
