"""Turns the documents of the repository into a site; `mkdocs.yml` says what it looks like.

Nothing is imported here: only mkdocs loads the hooks, by their path.
"""

__all__: list[str] = []
