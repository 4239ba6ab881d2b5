"""Where events wait and what became of them: the stream, the inbox, tries, pauses."""
