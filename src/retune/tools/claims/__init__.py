"""Claims: the evidence for every number in the documents.

`ledger` reads `claims.yaml` and compares it with the metrics. `stated` finds the numbers in the
documents. `tables` writes the claims as Markdown tables.
"""
