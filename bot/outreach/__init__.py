"""Alerts to people who asked for them: what is said, to whom, when, and what came of it."""
