"""Writes what is generated: ``python -m octo_client_codegen OPENAPI_FILE PACKAGE_FOLDER``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter, PythonVersion

from octo_client_codegen.methods import module
from octo_client_codegen.simplify import simplified

HEAD = "# Made from api/openapi/openapi.json by `make api`; change the api instead.\n"


def main(openapi_file: Path, package: Path) -> None:
    """Write ``models.py`` and ``_operations.py``."""
    document = simplified(json.loads(openapi_file.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "openapi.json"
        source.write_text(json.dumps(document))
        generate(
            source,
            input_file_type=InputFileType.OpenAPI,
            output=package / "models.py",
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            custom_file_header=HEAD.rstrip(),
            snake_case_field=True,
            allow_population_by_field_name=True,
            extra_fields="ignore",
            use_subclass_enum=True,
            use_specialized_enum=True,
            capitalise_enum_members=True,
            set_default_enum_member=True,
            use_schema_description=True,
            use_standard_collections=True,
            use_union_operator=True,
            use_annotated=True,
            field_constraints=True,
            use_double_quotes=True,
            formatters=[Formatter.BUILTIN],
        )
    (package / "_operations.py").write_text(HEAD + module(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
