"""Stage `entities`: an adapter for named entities, scored by whole entities.

This room imports the shared rooms and `tasks.ner.texts`.
"""
