"""How OpenPGP messages are opened: gpg does all of OpenPGP, and what surrounds it here makes it fast and strict.

``home`` makes the run's key ring, ``gpg`` runs one gpg by pipes, ``verdict`` judges what gpg said, ``small`` keeps
gpg processes running for small messages, and ``relay`` is the agent that those speak to.
"""
