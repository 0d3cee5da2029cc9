"""Blind players: they see options, know much about the benchmark, and never see a picture; one kind a file.

A player scores the four options of every question and names the best; where several are best it earns a share of the
point.
"""
