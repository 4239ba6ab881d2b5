"""What a Stripe account has to sell, read from its products and prices.

Ours is what carries our marks in its metadata; everything else is foreign. Nothing here decides
what is to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.catalogue.plans import period_of
from domain.json_values import integer_of, mapping_of, reference_of, text_of

PLAN_ID = "plan_id"
PLAN_TYPE = "plan_type"
VERSION = "version"
TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `created` is Stripe's clock, in seconds."""

    id: str
    name: str
    description: str
    active: bool
    created: int
    default_price_id: str | None
    metadata: Mapping[str, str]

    @property
    def plan_id(self) -> int | None:
        """The plan it was made for; None for a foreign one.

        A checkout with an inline price leaves products behind that name a plan and no type.
        """
        return integer_of(self.metadata.get(PLAN_ID)) if PLAN_TYPE in self.metadata else None


@dataclass(frozen=True, slots=True)
class Price:
    """A price of a product.

    `amount_minor` is None where no single number says it; `period` is None where it is paid once.
    """

    id: str
    product_id: str
    active: bool
    currency: str
    amount_minor: int | None
    period: str | None
    created: int
    lookup_key: str | None
    metadata: Mapping[str, str]

    @property
    def plan_id(self) -> int | None:
        """The plan it was made for; None for a foreign one."""
        return integer_of(self.metadata.get(PLAN_ID)) if VERSION in self.metadata else None


@dataclass(frozen=True, slots=True)
class Account:
    """The products and prices of one Stripe account, by id."""

    products: Mapping[str, Product]
    prices: Mapping[str, Price]


def product_of(product: Mapping[str, Any]) -> Product:
    """Read a product; what is missing is empty."""
    return Product(
        id=text_of(product.get("id")) or "",
        name=text_of(product.get("name")) or "",
        description=text_of(product.get("description")) or "",
        active=product.get("active") is True,
        created=integer_of(product.get("created")) or 0,
        default_price_id=reference_of(product.get("default_price")),
        metadata=mapping_of(product.get("metadata")),
    )


def price_of(price: Mapping[str, Any]) -> Price:
    """Read a price; what is missing is empty."""
    return Price(
        id=text_of(price.get("id")) or "",
        product_id=reference_of(price.get("product")) or "",
        active=price.get("active") is True,
        currency=(text_of(price.get("currency")) or "").lower(),
        amount_minor=integer_of(price.get("unit_amount")),
        period=period_in(price),
        created=integer_of(price.get("created")) or 0,
        lookup_key=text_of(price.get("lookup_key")),
        metadata=mapping_of(price.get("metadata")),
    )


def period_in(price: Mapping[str, Any]) -> str | None:
    """How often a price is paid, in words such as `month`, `3 month`; None for once.

    A metered one is told apart: no plan of ours is paid by use.
    """
    recurring = mapping_of(price.get("recurring"))
    interval = text_of(recurring.get("interval"))
    if interval is None:
        return None
    count = integer_of(recurring.get("interval_count")) or 1
    metered = " metered" if recurring.get("usage_type") == "metered" else ""
    return f"{period_of(interval, count)}{metered}"
