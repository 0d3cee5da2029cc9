"""JIC-VQA: four-choice questions over labelled Japanese pictures, and what it takes to trust them.

Class lists become a ranking of similar classes, the ranking a design of option sets in which no blind player can do
better than guess, the design a question table; the table is audited, compared and put to a model.
"""
