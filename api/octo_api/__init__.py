"""Octo REST API."""
