"""The contract of Megatron-Bridge's `ChatMLWebdataset` (NVIDIA-NeMo/Megatron-Bridge, 2026-08).

`src/megatron/bridge/data/energon/task_encoder_utils.py` there: the part `jpgs` is a pickled list of encoded pictures, each of which its image
handler decodes; `conversation` is JSON with a list, of which `cook_chatml_sample` makes turns of role and content. The
package on PyPI (0.3.1) is older than this reader.
"""  # noqa: E501

import io
import json
import pickle
from dataclasses import dataclass

from megatron.energon.flavors.base_dataset import Sample
from megatron.energon.flavors.webdataset import DefaultDecoderWebdatasetFactory
from PIL import Image


@dataclass
class ChatMLSample(Sample):
    conversation: str
    imgs: list | None = None


def decoded(sample):
    """Decode the parts as Bridge's handlers do, without Energon's own decoder."""
    pictures = [Image.open(io.BytesIO(data)) for data in pickle.loads(sample["jpgs"])]
    return sample | {"jpgs": pictures, "json": sample["json"].decode()}


class ChatMLWebdataset(DefaultDecoderWebdatasetFactory[ChatMLSample]):
    __sample_type__ = ChatMLSample

    def __init__(self, path, **options):
        super().__init__(path, **{**options, "decoder": None})
        self._decoder = decoded


def cook_chatml_sample(conversation):
    said = json.loads(conversation)
    assert isinstance(said, list)
    assert said
    return [{"role": turn["role"], "content": turn["content"]} for turn in said]
