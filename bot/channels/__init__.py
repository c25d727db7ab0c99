"""The edges: how a message comes in and goes out. The only place that may import a provider's library."""
