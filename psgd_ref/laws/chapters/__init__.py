"""The ledger's chapters, a file each (D has two): every claim beside the laws that test it."""
