"""Providers for tests: servers that speak the real protocol, with faults on demand. Clients that others wrote drive them too."""
