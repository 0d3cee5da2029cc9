"""The classes of JIC-VQA, their names, and how alike they are."""
