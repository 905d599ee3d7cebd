"""Methods of data augmentation: a module each, with `Params` and `augmented`.

`augmented(examples, params)` yields candidates, each with the id of its sentence as `source`,
its label, and the name of the method as `method`. `retune.tasks.sentiment.augment.augment` decides
which of them are taken, by the same rules for all methods.
"""
