"""Collections that the offline Stripe knows of and has nothing in: their lists are empty.

A client that reads a whole account asks for many of them. An answer says in a header that the
collection is always empty here, so that nobody takes the offline Stripe for the whole of Stripe.
"""

from sandbox.stripe.api.calls import Call, Endpoint, Found, Page
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import ANYTHING, NOTHING
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.goods import Product

HEADER = "Offline-Stripe"
HEADERS = {HEADER: "this collection is always empty here"}

COLLECTIONS = (
    *("apple_pay/domains", "application_fees", "apps/secrets", "billing/alerts"),
    *("climate/orders", "climate/products"),
    *("climate/suppliers", "country_specs", "entitlements/active_entitlements"),
    *("entitlements/features", "exchange_rates", "file_links", "files"),
    *("financial_connections/accounts", "financial_connections/transactions"),
    *("forwarding/requests", "identity/verification_reports", "identity/verification_sessions"),
    *("invoice_rendering_templates", "issuing/authorizations", "issuing/cards"),
    *("issuing/cardholders", "issuing/disputes", "issuing/transactions", "payment_links"),
    *("payment_method_configurations", "payment_method_domains", "payouts", "quotes"),
    *("radar/early_fraud_warnings", "radar/value_list_items", "radar/value_lists"),
    *("reporting/report_runs", "reporting/report_types", "reviews", "setup_attempts"),
    *("shipping_rates", "sigma/scheduled_query_runs"),
    *("tax/registrations", "tax_codes", "tax_ids", "terminal/configurations"),
    *("terminal/locations", "terminal/readers", "topups", "transfers"),
)
# What Stripe keeps for a customer and nothing here does.
OF_CUSTOMER = ("cash_balance_transactions", "sources")
# Of the newer part of the API, whose lists look otherwise.
OF_V2 = ("core/accounts",)


def _nothing(call: Call) -> Found:
    owner = call.params.get("owner")
    # An empty list would be untrue of a customer who has tax numbers.
    if isinstance(owner, dict) and owner.get("type") == "customer":
        where = "/v1/customers/:id/tax_ids"
        raise invalid(f"The offline Stripe lists customers' tax IDs at {where}.", "owner[type]")
    return Page((), has_more=False, url=call.path)


def _nothing_of_customer(call: Call) -> Found:
    living(call, call.id, "id")
    return _nothing(call)


def _nothing_of_product(call: Call) -> Found:
    call.the(Product, "product")
    return _nothing(call)


def _nothing_of_v2(_call: Call) -> Found:
    return {"data": [], "next_page_url": None, "previous_page_url": None}


def _none_of(method: str, collection: str) -> Endpoint:
    name = collection.rpartition("/")[2].removesuffix("s")

    def refuse(call: Call) -> Found:
        raise no_such(name, call.id, "id")

    return Endpoint(method, f"/v1/{collection}/<id>", NOTHING, refuse, HEADERS)


ENDPOINTS = (
    Endpoint("GET", "/v1/products/<id>/features", ANYTHING, _nothing_of_product, HEADERS),
    *(Endpoint("GET", f"/v2/{name}", ANYTHING, _nothing_of_v2, HEADERS) for name in OF_V2),
    *(Endpoint("GET", f"/v1/{name}", ANYTHING, _nothing, HEADERS) for name in COLLECTIONS),
    *(_none_of("GET", name) for name in COLLECTIONS),
    *(_none_of("POST", name) for name in COLLECTIONS),
    *(
        Endpoint("GET", f"/v1/customers/<id>/{name}", ANYTHING, _nothing_of_customer, HEADERS)
        for name in OF_CUSTOMER
    ),
)
