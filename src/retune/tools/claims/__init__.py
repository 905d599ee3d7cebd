"""Claims: the evidence for every number in the documents.

`ledger` reads `claims.yaml` and compares it with the metrics; `stated` looks for the numbers
in the documents; `tables` writes the ledger down for readers.
"""
