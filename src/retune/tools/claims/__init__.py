"""Claims: the evidence for every number in the documents.

`ledger` reads `claims.yaml` and compares it with the metrics; `tables` writes it down for readers.
"""
