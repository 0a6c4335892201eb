"""``python -m napari_medai`` is ``napari-medai``."""

from __future__ import annotations

import sys

from napari_medai.cli import main

if __name__ == "__main__":
    sys.exit(main())
