"""What every stage uses: params, errors, files, manifests, and the frame of a stage script.

This room imports no other room.
"""
