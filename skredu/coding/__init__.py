"""Coding lengths: how many bits samples take, alone and in groups."""
