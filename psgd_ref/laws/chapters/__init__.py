"""The ledger's chapters: every claim beside the laws that test it.

More than fifteen files, since a chapter has one for each question that it asks: `d_convergence`,
`d_fixed_points`, `d_order`; the letter before the name is the claims'.
"""
