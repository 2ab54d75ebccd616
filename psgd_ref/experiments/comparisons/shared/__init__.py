"""What several comparisons share, so that none of them imports another."""
