"""What all experiments share: worker processes, rows of tables, bit-widths, identities, search records."""
