from bundle_fixtures import bundle, cell, copy, recording, transformer_bundle, transformer_cell

__all__ = ["bundle", "cell", "copy", "recording", "transformer_bundle", "transformer_cell"]
