"""Bạn Đường, companion on the road: a safe-migration bot for Viet Nam."""

__version__ = "0.1.0"
