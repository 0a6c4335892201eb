"""OME-Zarr, read and written: a module each for reading, writing, and what the metadata say."""
