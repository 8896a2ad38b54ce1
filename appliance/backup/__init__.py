"""Encrypted copies of what the appliance keeps: make, list, verify, restore.

``snapshot`` copies the state without stopping anything, ``archive`` puts it
into one age file and takes it out again, ``store`` is the directory of the
backups, ``restore`` puts one into a state directory.
"""
