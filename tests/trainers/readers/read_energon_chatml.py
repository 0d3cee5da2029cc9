"""Megatron-Bridge's `ChatMLSample` through Energon; its own cook turns the sample into turns and pictures."""

import sys

from megatron.bridge.data.energon.task_encoder_utils import cook_chatml_sample
from megatron.energon import DefaultTaskEncoder, WorkerConfig, get_loader, get_val_dataset
from seen import show


class Whole(DefaultTaskEncoder):
    """Leaves samples as they are: pictures of several sizes make no batch."""

    def encode_sample(self, sample):
        return sample

    def batch(self, samples):
        return samples

    def encode_batch(self, batch):
        return batch


def rows(folder, split):
    config = WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = get_val_dataset(folder, split_part=split, worker_config=config, batch_size=1, task_encoder=Whole())
    for (sample,) in get_loader(dataset):
        yield [(turn["role"], turn["content"]) for turn in cook_chatml_sample(sample.conversation)], sample.imgs


show(rows(*sys.argv[1:]))
