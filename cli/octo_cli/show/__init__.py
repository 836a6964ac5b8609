"""How things are shown: tables, documents, live progress."""
