"""Tells other systems of events, over HTTP, as Standard Webhooks has it."""
