"""Seconds and peak memory of one stage-2 iteration: against denoising steps, pictures a batch, and checkpointing.

Each case runs in a process of its own; memory is what the iteration added to the process (CPU) or took at most (CUDA).

    python bench/refine.py
    python bench/refine.py --model sd14 --device cuda    # U-Net of Stable Diffusion 1.4's size, random weights
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

# Denoising steps, pictures, checkpoints.
CASES = {
    "lab": [
        (3, 4, True),
        (5, 4, True),
        (7, 4, True),
        (7, 4, False),
        (7, 1, True),
        (7, 16, True),
        (7, 16, False),
    ],
    "sd14": [(5, 1, True), (5, 1, False), (35, 1, True)],
}
# The U-Net of Stable Diffusion 1.x where it differs from diffusers' defaults.
SD14 = {"sample_size": 64, "cross_attention_dim": 768}
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=CASES, default="lab")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.model, args.device, *args.case)))
        return
    print(
        f"{'model':7}{'steps':>6}{'pictures':>10}{'checkpoints':>13}{'s/iteration':>13}{'s/picture':>11}{'MiB':>8}"
    )
    for case in CASES[args.model]:
        command = [sys.executable, __file__, "--model", args.model, "--device", args.device]
        done = subprocess.run(
            [*command, "--case", json.dumps(case)], capture_output=True, text=True, check=True
        )
        seconds, mib = json.loads(done.stdout.splitlines()[-1])
        steps, pictures, kept = case
        print(
            f"{args.model:7}{steps:6}{pictures:10}{'yes' if kept else 'no':>13}"
            f"{seconds:13.2f}{seconds / pictures:11.3f}{mib:8.0f}",
            flush=True,
        )


def measure(model: str, device: str, steps: int, pictures: int, checkpoint: bool) -> tuple[float, float]:
    """Seconds of one iteration (median) and MiB that it took."""
    import statistics
    import time

    import torch

    from neurodecode import reconstruction, vision
    from neurodecode.reconstruction.structure import StructureLoss, Target

    total = 10 if model == "lab" else 50
    schedule = reconstruction.Schedule(total, steps, steps)
    generator = load(model, schedule, reconstruction.Memory(checkpoint=checkpoint), device)
    encoder = vision.load("lab", device=device)
    random = generator.draw(range(pictures))
    latents = {
        k: torch.zeros(pictures, *shape, device=device, requires_grad=True)
        for k, shape in generator.latents.items()
    }
    layer = "Linear-2"
    with torch.no_grad():
        size = encoder.encode(torch.zeros(1, 64, 64, 3, device=device), [layer])[layer].numel()
    everything = torch.ones(size, dtype=torch.bool, device=device)
    loss = StructureLoss(encoder, {layer: Target(torch.zeros(pictures, size, device=device), everything)})
    taken, before = [], held(device)
    for _ in range(REPEATS):
        start = time.perf_counter()
        loss.total(loss.apart(generator(latents, random))).sum().backward()
        if device != "cpu":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), held(device) - before


def load(model: str, schedule, memory, device: str):
    """The lab's model, or one of Stable Diffusion 1.4's U-Net with random weights around the lab's other parts."""
    from neurodecode import reconstruction, vision

    if model == "lab":
        return reconstruction.load_diffusion("lab", schedule=schedule, memory=memory, device=device)
    import torch

    from neurodecode.vision import _backends

    diffusers = _backends.diffusers()
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(**SD14)
    scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    text = vision.load_text("lab", device=device)
    text.module.config.hidden_size = SD14["cross_attention_dim"]
    # Nothing is encoded here: an empty prompt of the right width is all that guidance asks for.
    empty = torch.zeros(1, text.length, SD14["cross_attention_dim"], device=device)
    text.empty = lambda: empty
    return reconstruction.LatentDiffusion(
        unet,
        scheduler,
        vision.load_latents("lab", device=device),
        text,
        schedule=schedule,
        memory=memory,
        name="random, of Stable Diffusion 1.4's size",
        device=device,
    )


def held(device: str) -> float:
    """MiB at most so far."""
    if device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
