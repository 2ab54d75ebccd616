"""What all experiments share: worker processes, rows of tables, bit-widths, methods, search records."""
