"""The peer that needs an afternoon: fetch, decrypt, gunzip and upload a file, one after the other, through disk.

All settings are the libraries' defaults. It runs in an environment of its own (`requirements/bench.lock`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import tempfile
from pathlib import Path

import boto3  # type: ignore[import-not-found]
import gnupg  # type: ignore[import-not-found]
import paramiko  # type: ignore[import-untyped]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", type=Path)
    settings = json.loads(parser.parse_args().settings.read_text())
    with tempfile.TemporaryDirectory(dir=settings["workdir"]) as folder:
        encrypted, packed, plain = (Path(folder) / name for name in ("file.gpg", "file.gz", "file"))

        with paramiko.SSHClient() as client:
            client.load_host_keys(settings["known_hosts"])
            client.connect(
                settings["host"],
                port=settings["port"],
                username=settings["username"],
                key_filename=settings["private_key"],
                allow_agent=False,
                look_for_keys=False,
            )
            with client.open_sftp() as sftp:
                sftp.get(settings["path"], str(encrypted))

        gpg = gnupg.GPG(gnupghome=settings["gnupg_home"])
        done = gpg.decrypt_file(str(encrypted), passphrase=settings["passphrase"], output=str(packed))
        if not done.ok:
            raise SystemExit(done.status)

        with gzip.open(packed, "rb") as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target)

        s3 = boto3.client(
            "s3",
            endpoint_url=settings["endpoint"],
            region_name="us-east-1",
            aws_access_key_id=settings["access_key"],
            aws_secret_access_key=settings["secret_key"],
        )
        s3.upload_file(str(plain), settings["bucket"], settings["key"])


if __name__ == "__main__":
    main()
