"""``python -m neurodecode.cli``."""

import sys

from . import main

sys.exit(main())
