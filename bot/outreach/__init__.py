"""Outreach: who gets news, what it says, and how it gets there."""
