"""What running workers say of their own runs."""
