"""The queue that people work."""
