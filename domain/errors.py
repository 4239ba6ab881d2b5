"""The domain's few exceptions; each message says what is wrong and where."""


class BillingError(Exception):
    """Base of every error that this product raises on purpose."""


class DecodeError(BillingError):
    """An event cannot be turned into facts: something it must carry is missing or malformed.

    The event is kept as `failed` with this message; its neighbours go on.
    """


class KeyReusedError(BillingError):
    """An idempotency key came again with other content than the first time."""


class CatalogueError(BillingError):
    """A catalogue is wrong; the message lists every problem found, one a line."""
