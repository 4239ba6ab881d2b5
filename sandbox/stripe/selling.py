"""What is on offer changes, and goes off the shelf: products, coupons, promotion codes. No I/O."""

from collections.abc import Mapping
from dataclasses import replace

from sandbox.simulate.contract_records import Price
from sandbox.simulate.engine import changed
from sandbox.stripe.goods import Product, product_object
from sandbox.stripe.offers import Code, Offer, code_object, offer_object
from sandbox.stripe.owing import Owing


class Selling(Owing):
    """Changes of what is on offer; what was sold keeps what it was sold at."""

    def remove_product(self, product: Product) -> None:
        """Take a product away that has no prices."""
        del self.records[product.id]
        self.emit("product.deleted", product_object(product), None)

    def sell_in(self, price: Price, amounts: Mapping[str, int]) -> None:
        """Sell at a price in further currencies; what was sold keeps what it was sold at."""
        for currency, unit_minor in amounts.items():
            price.options[currency] = replace(
                price,
                id=self.new_id("price"),
                plan=replace(price.plan, prices={currency: unit_minor}),
                currency=currency,
                unit_minor=unit_minor,
                options={},
                base=price,
            )

    def change_offer(self, offer: Offer, changes: Mapping[str, object]) -> None:
        """Change fields of a coupon by name."""
        before = offer_object(offer)
        for name, value in changes.items():
            setattr(offer, name, value)
        after = offer_object(offer)
        if after != before:
            self.emit("coupon.updated", after, None, changed(before, after))

    def withdraw(self, offer: Offer) -> None:
        """Take a coupon off the shelf; its codes are of no use then, its discounts stay."""
        for code in self.every(Code):
            if code.offer is offer and code.active:
                self.change_code(code, {"active": False})
        del self.records[offer.id]
        self.emit("coupon.deleted", offer_object(offer), None)

    def change_code(self, code: Code, changes: Mapping[str, object]) -> None:
        """Change fields of a promotion code by name."""
        before = code_object(code, self.version)
        for name, value in changes.items():
            setattr(code, name, value)
        after = code_object(code, self.version)
        if after != before:
            self.emit("promotion_code.updated", after, None, changed(before, after))

    def code_of(self, word: str) -> Code | None:
        """The promotion code that a buyer types, where it can be used."""
        typed = word.strip().lower()
        redeemable = (one for one in self.every(Code) if one.redeemable)
        return next((one for one in redeemable if one.code.lower() == typed), None)
