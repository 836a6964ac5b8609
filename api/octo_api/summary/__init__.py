"""How many runs there are, and what each day came to."""
