"""Keeps the catalogs of messages in step with the source: ``make messages``."""
