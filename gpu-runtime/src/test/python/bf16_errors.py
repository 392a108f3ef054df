"""Measures how far Hugging Face's transformers, computing in bfloat16, are from the golden logits.

Run in the project's root: python3 gpu-runtime/src/test/python/bf16_errors.py
Writes gpu-runtime/src/test/resources/golden-bf16.json, by model the relative distance for each prompt:
what an executor that computes in bfloat16 is measured against. Made with transformers 5.18.0 on a CPU.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

RESOURCES = Path("gpu-runtime/src/test/resources")


def distance(actual, expected):
    return float((actual - expected).norm() / expected.norm())


def errors(directory):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).eval()
    for golden in json.loads((directory / "golden.json").read_text()):
        with torch.no_grad():
            logits = model(torch.tensor([golden["prompt"]])).logits[0, -1]
        yield distance(logits.double(), torch.tensor(golden["logits"], dtype=torch.double))


def main():
    models = sorted((RESOURCES / "golden").iterdir())
    lines = [f'  "{m.name}": {json.dumps([round(e, 5) for e in errors(m)])}' for m in models]
    (RESOURCES / "golden-bf16.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
