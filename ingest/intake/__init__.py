"""Where an event is stored: the stream first, the inbox second."""
