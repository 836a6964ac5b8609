"""The console: a page over the REST API, and nothing that the REST API does not have."""
