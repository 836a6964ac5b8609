"""Files on an SFTP server, by asyncssh: pinned host keys, nothing taken from the user's ssh configuration or agent."""

from octo_worker.programs import hidden_programs

with hidden_programs():
    from octo_worker.sources.sftp.files import SftpFiles, open_source

__all__ = ["SftpFiles", "open_source"]
