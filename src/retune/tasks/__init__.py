"""What is trained and compared: a room each for question answering and the sister tasks.

A task imports the shared rooms. Of other tasks it imports the rooms of their data alone.
"""
