"""Postgres: the only place that imports SQLAlchemy. One module for each table holds all SQL on it;
callers pass a session and own its transaction."""
