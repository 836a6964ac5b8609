"""``python -m octo_cli``."""

from octo_cli.main import octo

if __name__ == "__main__":
    octo()
