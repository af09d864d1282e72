"""Write a recorded stream of orders with `python -m sandbox.orderflow`."""

import sys

from sandbox.orderflow.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
