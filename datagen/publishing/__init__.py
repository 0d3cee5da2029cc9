"""`datagen push`: a product where others read it, so that they see the old one or the new one, and never a mixture.

On the Hugging Face hub that is one commit; in a cloud a folder for each version, and one file that says which holds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

MANIFEST = "manifest.json"


class Published(NamedTuple):
    """What is there now.

    Attributes:
        url: of the product.
        uploaded: how many files were sent; 0 when all of it was there.
        bytes: their size.
    """

    url: str
    uploaded: int
    bytes: int


def product_files(manifest: Mapping[str, Any]) -> list[str]:
    """Return the paths of what makes up a product: its shards, the card, and the manifest last."""
    return [*(str(shard["path"]) for shard in manifest["shards"]), "README.md", MANIFEST]
