"""Exits 0 when a DNS server resolves a name to an address: resolves.py SERVER NAME ADDRESS.

One UDP query by hand: it goes through the Service's address, so an answer means
that kube-proxy, the pod network and CoreDNS all work, whatever their objects' status says.
"""

import socket
import struct
import sys


def resolves(server: str, name: str, address: str) -> bool:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">HHHHHH", 0x0C70, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        udp.connect((server, 53))
        try:
            udp.send(query)
            answer = udp.recv(512)
        except OSError:
            return False
    return answer.endswith(socket.inet_aton(address))


if __name__ == "__main__":
    sys.exit(0 if resolves(*sys.argv[1:4]) else 1)
