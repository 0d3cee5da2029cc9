"""Megatron-Energon: typed samples through its validation loader, which takes each once and in order."""

import sys

from megatron.energon import WorkerConfig, get_loader, get_val_dataset
from seen import show


def rows(folder, split):
    config = WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = get_val_dataset(folder, split_part=split, worker_config=config, batch_size=1)
    for sample in get_loader(dataset):
        for image, question, answers in zip(sample.image, sample.context, sample.answers, strict=True):
            yield [("key", sample.__key__[0]), ("user", question), ("assistant", answers[0])], [image]


show(rows(*sys.argv[1:]))
