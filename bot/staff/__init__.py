"""The people who work here: their accounts, passwords, second factors, sessions, and what slows down whoever guesses."""
