"""rclone, which moves files and does not decrypt: the ceiling that the transport sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.data import Workload
from tests.bench.servers import Servers
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.sftp import USER

# As its documentation advises for an OpenSSH server: requests of 255 KiB, and the cipher that the CPU has
# instructions for.
_TRANSPORT = ("--sftp-chunk-size", "255k", "--sftp-ciphers", "aes128-gcm@openssh.com", "--s3-no-check-bucket")
# Measured here as its fastest way with one large file. By default it reads a file from 256 MiB on in four streams at
# once, which takes more than twice the CPU and time where the way to the server is short.
_LARGE = ("--multi-thread-streams", "0", "--s3-chunk-size", "16M", "--s3-upload-concurrency", "4", "--no-traverse")
_SMALL = ("--transfers", "4")


@dataclass(frozen=True, slots=True)
class Rclone:
    """Its configuration for the servers."""

    binary: Path
    config: Path
    servers: Servers

    @property
    def environment(self) -> dict[str, str]:
        """What it is run with."""
        return {"PATH": os.defpath, "HOME": str(self.config.parent), "RCLONE_CONFIG": str(self.config)}

    def command(self, workload: Workload, prefix: str, *, default_streams: bool = False) -> list[str]:
        """Move a folder: one large file, or many small ones four at a time."""
        options = _SMALL if workload.files > 1 else () if default_streams else _LARGE
        target = f"s3:{self.servers.bucket.name}/{prefix}/data"
        source = f"sftp:{workload.folder}"
        return [str(self.binary), "copy", *_TRANSPORT, *options, "--stats", "0", source, target]


@contextmanager
def configured(binary: Path, servers: Servers) -> Iterator[Rclone]:
    """rclone with a configuration that is removed afterwards."""
    with TemporaryDirectory(prefix="octo-bench-") as folder:
        private, known = Path(folder, "client"), Path(folder, "known_hosts")
        private.write_bytes(servers.sftp.client_key)
        private.chmod(0o600)
        known.write_text("".join(f"{line}\n" for line in servers.sftp.known_hosts))
        config = Path(folder, "rclone.conf")
        # shell_type none: else it runs md5sum on the server, which reads each file a second time.
        config.write_text(
            f"""
[sftp]
type = sftp
host = 127.0.0.1
port = {servers.sftp.port}
user = {USER}
key_file = {private}
known_hosts_file = {known}
shell_type = none

[s3]
type = s3
provider = Other
endpoint = {servers.bucket.server.endpoint}
region = us-east-1
access_key_id = {ACCESS_KEY}
secret_access_key = {SECRET_KEY}
force_path_style = true
"""
        )
        yield Rclone(binary, config, servers)
