"""Claims: what stands behind every number that the documents state.

`ledger` reads `claims.yaml` and compares it with the metrics; `stated` looks for the numbers
in the documents; `tables` writes the ledger down for readers.
"""
