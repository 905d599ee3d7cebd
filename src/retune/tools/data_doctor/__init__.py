"""The data doctor: lists all that is wrong with data files, and mends what is certain.

A file is read as the download stage reads it, but forgivingly (`tolerant_reader`); its records
are mended where that is certain (`mending`); what is left is checked by the download
stage's own checker. So a place is either mended or a finding, and the doctor has nothing
to do for a file that it wrote.
"""
