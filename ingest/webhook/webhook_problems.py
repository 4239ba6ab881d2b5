"""What the receiver answers to a delivery that it does not take, for both ways in."""

from ingest.http.problems import ProblemType
from ingest.http.request_body import TOO_SLOW

BODY_BYTES_MAX = 1024 * 1024
TOLERANCE_SECONDS = 300

SIGNATURE_MISSING = ProblemType(400, "signature_missing", "The Stripe-Signature header is missing.")
SIGNATURE_INVALID = ProblemType(
    400,
    "signature_invalid",
    "The signature does not match; is STRIPE_WEBHOOK_SECRET that of this endpoint?",
)
SIGNATURE_STALE = ProblemType(
    400,
    "signature_stale",
    f"The signature's timestamp is more than {TOLERANCE_SECONDS} s away from now;"
    " is one of the clocks wrong?",
)
NOT_AN_EVENT = ProblemType(
    400,
    "not_an_event",
    "The body is not a Stripe event: {why}.",
    {"why": "it is not valid JSON"},
)
NO_UPGRADE = ProblemType(
    400,
    "no_upgrade",
    "No upgrade is under way that this shadow endpoint could be of; remove the endpoint at Stripe.",
)
TOO_LARGE = ProblemType(413, "too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.")
STRIPE_DISABLED = ProblemType(503, "stripe_disabled", "Stripe is not enabled.")
SECRET_MISSING = ProblemType(
    503,
    "webhook_secret_missing",
    "No webhook secret is configured: the operator must set STRIPE_WEBHOOK_SECRET.",
)
NOT_STORED = ProblemType(
    503, "not_stored", "No durable storage takes events at the moment; send it again."
)
TOO_BUSY = ProblemType(503, "too_busy", "Too many events wait for storage; send it again.")

ALL = (
    *(SIGNATURE_MISSING, SIGNATURE_INVALID, SIGNATURE_STALE, NOT_AN_EVENT),
    *(NO_UPGRADE, TOO_SLOW, TOO_LARGE),
    *(STRIPE_DISABLED, SECRET_MISSING, NOT_STORED, TOO_BUSY),
)
