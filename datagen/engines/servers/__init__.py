"""Servers that datagen starts, for the engines that have no endpoints."""
