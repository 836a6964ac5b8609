"""The commands. They know the interface of a backend, not which one it is."""
