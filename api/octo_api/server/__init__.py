"""The HTTP server: what it does with bytes before they are a request, and how it ends."""
