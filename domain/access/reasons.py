"""Why a feature is allowed or not, in words for people; programs read the code."""

# In this order of several reasons the first is told.
CODES = (
    "active",
    "trialing",
    "bought",
    "ending",
    "past_due",
    "unpaid",
    "paused",
    "incomplete",
    "taken_back",
    "ended",
    "unknown_status",
    "not_included",
    "no_plan",
)
_ALLOWED = {
    "active": "{plan} is paid.",
    "trialing": "{plan} is on trial.",
    "bought": "{plan} was bought.",
    "ending": "{plan} has been canceled and runs until its end.",
    "past_due": "A payment for {plan} is missing; what it unlocks stays for now.",
    "unpaid": "A payment for {plan} was given up; what it unlocks stays for now.",
    "paused": "{plan} is paused; what it unlocks stays for now.",
}
_REFUSED = {
    "past_due": "A payment for {plan} is missing.",
    "unpaid": "A payment for {plan} was given up.",
    "paused": "{plan} is paused.",
    "incomplete": "The first payment for {plan} is not complete.",
    "taken_back": "The money for {plan} went back.",
    "ended": "{plan} has ended.",
    "unknown_status": "{plan} is in a state that is not known here.",
    "not_included": "No plan that is held includes it.",
    "no_plan": "No plan is held that counts.",
}


def why(code: str, plan: str, *, allowed: bool) -> str:
    """The words for a code; `plan` is the name of the plan it is about."""
    words = _ALLOWED if allowed else _REFUSED
    return words[code].format(plan=plan)
