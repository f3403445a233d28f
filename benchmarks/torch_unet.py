"""The fast preset's U-Net in PyTorch, as a process that trains it on request. Only PyTorch and NumPy are needed.

`benchmarks.torch_peer` starts it. The first line on standard output says what it is; then each line of JSON on standard
input, {"precision", "layout", "steps"}, is answered by {"seconds", "loss"}.

The layers are those of engine/network/architectures/unet.py with a first stride of 2 and batch normalisation; padding
is TensorFlow's "same": an odd pixel is added at the right and below.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LOGIT_SCALE = 4.0
FIRST_LOGIT = -2.0
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Once(nn.Sequential):
    """A padded convolution without bias, batch normalisation, ReLU. Keras' momentum of 0.9 is 0.1 here."""

    def __init__(self, inputs: int, filters: int, kernel: int = 3, stride: int = 1) -> None:
        convolution = nn.Conv2d(
            inputs, filters, kernel, stride, padding=1 if stride == 1 and kernel == 3 else 0, bias=False
        )
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        padding = [] if convolution.padding[0] else [nn.ZeroPad2d((0, 1, 0, 1))]
        normalization = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1)
        super().__init__(*padding, convolution, normalization, nn.ReLU(inplace=True))


def twice(inputs: int, filters: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(Once(inputs, filters, stride=stride), Once(filters, filters))


class UNet(nn.Module):
    """From images (B, 3, S, S), values 0 to 255, to logits (B, 1, S, S)."""

    def __init__(self, base_filters: int, depth: int, stride: int = 2) -> None:
        super().__init__()
        filters = [base_filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            twice(filters[level - 1] if level else 3, filters[level], 1 if level else stride) for level in range(depth)
        )
        self.bottom = twice(filters[-2], filters[-1])
        self.up = nn.ModuleList(Once(filters[level + 1], filters[level], kernel=2) for level in range(depth))
        self.joined = nn.ModuleList(twice(2 * filters[level], filters[level]) for level in range(depth))
        self.head = nn.Conv2d(filters[0], stride**2, 3, padding=1)
        nn.init.constant_(self.head.bias, FIRST_LOGIT / LOGIT_SCALE)
        self.shuffle = nn.PixelShuffle(stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image / 127.5 - 1
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](functional.interpolate(x, scale_factor=2, mode="nearest"))
            x = self.joined[level](torch.cat([skips[level], x], 1))
        return self.shuffle(self.head(x)).float() * LOGIT_SCALE


def loss_of(logit: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy plus Dice, each pixel counted by its weight, the mean over images."""
    crossentropy = functional.binary_cross_entropy_with_logits(logit, target, weight)
    probability, per_image = torch.sigmoid(logit), (1, 2, 3)
    hit = (weight * target * probability).sum(per_image)
    both = (weight * probability).sum(per_image) + (weight * target).sum(per_image)
    dice = (1 - (hit + 0.5) / (both / 2 + 0.5)) * weight.mean(per_image)
    return crossentropy + dice.mean()


class Training:
    """A network with its optimizer in one precision and memory layout, and one ready batch."""

    def __init__(self, options: argparse.Namespace, precision: str, layout: str) -> None:
        torch.manual_seed(0)
        self.layout, self.half = LAYOUTS[layout], precision == "bfloat16"
        self.model = UNet(options.base_filters, options.depth).to(memory_format=self.layout).train()
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]  # no decay, as in engine/training/compiled.py
        groups = [{"params": matrices, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, fused=True)
        rng, side = np.random.default_rng(0), options.image_size
        images = rng.integers(0, 256, (options.batch, side, side, 3)).astype(np.float32)
        targets = rng.integers(0, 2, (options.batch, side, side, 2)).astype(np.float32)
        self.image, pair = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (images, targets))
        self.image = self.image.contiguous(memory_format=self.layout)
        self.target, self.weight = pair[:, :1].contiguous(), pair[:, 1:].contiguous()

    def step(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logit = self.model(self.image)
        loss = loss_of(logit, self.target, self.weight)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def variables(model: nn.Module) -> int:
    """Return how many numbers a model keeps, the moving statistics included, as Keras counts them."""
    kept = [*model.parameters(), *(b for name, b in model.named_buffers() if not name.endswith("num_batches_tracked"))]
    return sum(each.numel() for each in kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("image-size", 256), ("batch", 4), ("base-filters", 16), ("depth", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    trainings: dict[tuple[str, str], Training] = {}
    count = variables(UNet(options.base_filters, options.depth))
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "variables": count}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        key = asked["precision"], asked["layout"]
        if key not in trainings:
            trainings[key] = Training(options, *key)
        began = time.perf_counter()
        losses = [trainings[key].step() for _ in range(asked["steps"])]
        print(json.dumps({"seconds": time.perf_counter() - began, "loss": losses[-1]}), flush=True)


if __name__ == "__main__":
    main()
