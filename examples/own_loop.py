"""A training loop of one's own around the model, in plain torch."""

from collections.abc import Mapping
from itertools import islice

import torch

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


def main(images: int = 100, steps: int = 300, changes: Mapping[str, object] = {}) -> maskrcnn.Report:
    """Train on drawn images, and score on others."""
    data, others = shapes_in_memory(images), shapes_in_memory(images // 4, seed=1)
    small = {"backbone.name": "resnet18", "input.min_size": 128, "data.batch_size": 4}
    settings = maskrcnn.RunSettings().changed(maskrcnn.FROM_RANDOM, small, changes)
    model = maskrcnn.build_model(settings.model, len(data.classes)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    for step, batch in enumerate(islice(maskrcnn.training_batches(data, settings), steps)):
        losses = model(batch)  # {name: scalar}
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        if step % 20 == 0:
            print(step, {name: round(value.item(), 3) for name, value in losses.items()})
    predictor = maskrcnn.Predictor(model=model, classes=data.classes)
    return maskrcnn.evaluate(predictor, others)


if __name__ == "__main__":
    print(main())
