"""Telling what came of a run: the summary, the tables, the events, the picture."""
