"""What is said when an engine cannot run."""


class EngineError(Exception):
    """An engine cannot run; the text is one line for a person, with what to do."""
