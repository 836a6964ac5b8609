"""Makes the client's models and methods from the OpenAPI document."""
