"""`retune report`: the results of all pipelines, as pages or as data.

`sources` reads what a pipeline's dvc.yaml declares. `results`, `figures`, `settings` and
`provenance` turn it into sections for any pipeline; a module of `task_sections`, which a task
names in its `task.py`, adds sections for that task. `page` writes HTML, `command` runs it all. No
model runs. This room imports every room but `cli`.
"""
