"""`retune why`: find the reasons for which a stage would run again.

`history` looks for a sum in git's commits,
`settings` compares params, `reasons` combines them for each stage, and `command` prints them. This
room imports `core`, `tools/project` and `tools/report`.
"""
