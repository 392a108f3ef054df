"""Measures the continuous batching of Hugging Face's transformers beside `sarathi gpu-bench --json FILE`, on the same GPU.

Usage: requests_peer.py FILE [DEVICE]. The shapes and the requests are those of the file, the weights random, as there.
Needs torch and transformers 5; on a CPU, which only shows that it runs, psutil too.
"""

import json
import sys
import time

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

report = json.load(open(sys.argv[1]))
device = sys.argv[2] if len(sys.argv) > 2 else "cuda"
answer = report["requests"][0]["output"]
assert all(request["output"] == answer for request in report["requests"])
generator = torch.Generator().manual_seed(0)
prompts = [torch.randint(3, 259, (request["prompt"],), generator=generator).tolist() for request in report["requests"]]

for shape in report["shapes"]:
    config = LlamaConfig(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kvHeads"],
        head_dim=shape["headDim"],
        tie_word_embeddings=shape["tied"],
        max_position_embeddings=4096,
    )
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config).eval()
    # No token ends an answer.
    settings = GenerationConfig(max_new_tokens=answer, do_sample=False, eos_token_id=-1, pad_token_id=0)
    for _ in ("warm", "timed"):
        start = time.perf_counter()
        results = model.generate_batch(prompts, generation_config=settings, persistent_manager=True)
        seconds = time.perf_counter() - start
    tokens = sum(len(result.generated_tokens) for result in results.values())
    assert tokens == answer * len(prompts), f"{tokens} tokens generated, {answer * len(prompts)} expected"
    ours = next(
        figure["value"]
        for figure in report["figures"]
        if figure["subject"] == shape["name"] and figure["measured"].endswith("mixed requests")
    )
    theirs = tokens / seconds
    print(f"{shape['name']}: {ours:.1f} tokens/s, transformers {theirs:.1f} tokens/s, ratio {ours / theirs:.2f} (goal 3)")
    del model
