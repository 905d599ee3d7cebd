"""`retune report`: the results of all pipelines, as one page or as data.

`graph` finds what a pipeline's dvc.yaml declares, `sources` reads it, `results`, `figures`,
`settings` and `provenance` make contents of it, whatever the pipeline is; a module of
`task_sections` named like a pipeline adds what only its task has. `page` makes HTML of the
contents, and `command` is what the user meets. Nothing is computed that needs a model.
"""
