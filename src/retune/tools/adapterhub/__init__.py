"""`retune adapters`: bundles from adapters of AdapterHub's library `adapters`, and back.

That library needs transformers 4. Both directions keep the logits: `tests/reference` has files that
the library wrote, with its logits, and a script that loads what is written here with it.
"""
