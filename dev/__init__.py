"""What never runs in production: embedded engines, the supervisor behind `up`, `test`, `simulate`.

Nothing outside this room imports it; `workers.commands` names its commands as strings.
"""
