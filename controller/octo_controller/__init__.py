"""Octo controller."""
