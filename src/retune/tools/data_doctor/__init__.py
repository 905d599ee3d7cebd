"""The data doctor: it lists all faults of data files, and mends those whose mend is certain.

`tolerant_reader` reads a file as the download stage does, but tolerates more. `mending` mends
records. The download stage's own checker then checks them. So each place is either mended or a
finding, and the doctor finds nothing to mend in a file that it wrote.
"""
