"""The pages of the inspection: the folder `templates`, in Japanese and English, with a colour for every rule."""

from datagen.inspection import labels
from datagen.pages import Pages

PAGES = Pages("datagen.inspection", "page.css", roles=labels.ROLES)
COLOURS = 10
"""How many rules the style can tell apart."""
