"""Connectors: one module a vendor, all with the contract of `base`; loaded by name when the config first names them."""
