"""What Octo talks about, as pure values and functions: no clock, no I/O, no framework but pydantic."""
