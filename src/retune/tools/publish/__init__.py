"""`retune publish`: a folder with a trained model that is ready for the Hugging Face hub.

`published_run` reads the run; `run_checks` refuses one whose parts do not belong together. `card`,
`eval_records`, `croissant` and `checklist` each write one kind of file. `upload` sends the folder
to the hub, and `command` is the command line. `retune verify --from` checks such a folder.
"""
