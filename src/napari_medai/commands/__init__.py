"""One module for each command of ``napari-medai``: `add_arguments` and `run`."""
