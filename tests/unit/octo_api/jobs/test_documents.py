"""Runs as JSON: the quick way says the same fields as the schema."""

from __future__ import annotations

from octo_api.jobs.documents import ALL_FIELDS, columns_of
from octo_api.jobs.schemas import Job
from octo_core.db.tables import JobRow


def test_every_field_of_the_schema_has_its_column() -> None:
    assert {str(field.alias) for field in Job.model_fields.values()} == ALL_FIELDS
    assert set(columns_of(ALL_FIELDS)) <= set(JobRow.__table__.columns.keys())
