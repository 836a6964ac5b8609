"""What the API promises, as documents made from the code: OpenAPI with examples, and the page of problem types."""
