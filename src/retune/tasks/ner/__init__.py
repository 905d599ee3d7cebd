"""Named entities: sentences with entity tags, and adapters that find entities.

The rooms import the shared rooms.
"""
