"""The data doctor: list all faults of data files, and correct those with one certain correction.

`tolerant_reader` reads a file as the download stage does, but tolerates more. `mending` corrects
records. The download stage's own checker then checks them. So each place is either corrected or a
finding, and the doctor finds nothing to correct in a file that it wrote.
"""
