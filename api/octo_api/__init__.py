"""Octo REST API."""

from importlib.metadata import version

__version__ = version("octo-api")
