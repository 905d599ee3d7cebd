"""Ways to make more of few sentences: a module each, with `Params` and `augmented`.

`augmented(examples, params)` yields candidates, each with the id of its sentence as `source`,
its label, and what made it as `method`. Which of them are taken is for
`retune.tasks.sentiment.augment.augment` to say, for all ways alike.
"""
