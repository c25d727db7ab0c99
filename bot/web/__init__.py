"""The web: the chat page and the training phone."""
