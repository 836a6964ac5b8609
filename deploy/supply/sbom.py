"""Bills of materials of the images. ``python -m deploy.supply.sbom FOLDER`` writes one each, as CycloneDX.

Made from the locks alone, so the same locks give the same bytes. Debian's packages are not in them: an image's own
dpkg database lists those.
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from deploy.supply.licences import licence_of
from deploy.supply.locks import IMAGES, Pin, hashes, lock_of, pins
from packageurl import PackageURL

VERSION = "0.1.0"


def bill(image: str, lock: str) -> str:
    """The bill of one image, as JSON."""
    licences = LicenseFactory()
    root = Component(
        name=f"octo-{image}",
        version=VERSION,
        type=ComponentType.CONTAINER,
        licenses=[licences.make_from_string("Apache-2.0")],
        bom_ref=f"octo-{image}",
    )
    parts = [_part(pin, hashes(lock, pin)) for pin in pins(lock)]
    # A random serial number would make each bill another.
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, f"octo-{image}\0{lock}"))
    bom.metadata.component = root
    bom.register_dependency(root, parts)
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    del made["metadata"]["timestamp"]
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _part(pin: Pin, digests: list[str]) -> Component:
    purl = PackageURL(type="pypi", name=pin.name, version=pin.version)
    # One for each file that may be installed, of which the image has one.
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(licence_of(pin))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests],
    )


def write(folder: Path) -> list[Path]:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for image in IMAGES:
        file = folder / f"{image}.cdx.json"
        file.write_text(bill(image, lock_of(image).read_text()))
        files.append(file)
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
