"""`python -m robocat` is `robocat`."""

from robocat.cli import main

raise SystemExit(main())
