"""Stage `language`: an adapter for a language.

This room imports the shared rooms, `tasks.qa.questions` and `tasks.ner.texts`.
"""
