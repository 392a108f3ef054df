"""Adds bfloat16.json to the models under src/test/resources/golden that are stored as bfloat16: the logits after each
prompt of golden.json as Hugging Face transformers computes them in bfloat16 on the CPU. They tell how much of an error
that data type brings along.

usage: make_bfloat16.py DIRECTORY
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM


def logits(model, prompt):
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0, -1].float().tolist()


def main():
    for directory in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if json.loads((directory / "config.json").read_text()).get("dtype") == "bfloat16":
            model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
            prompts = json.loads((directory / "golden.json").read_text())
            rows = [logits(model, golden["prompt"]) for golden in prompts]
            (directory / "bfloat16.json").write_text(json.dumps(rows) + "\n")
            print(directory.name, len(rows))


if __name__ == "__main__":
    main()
