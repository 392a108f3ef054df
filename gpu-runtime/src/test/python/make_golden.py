"""Makes the small random models under src/test/resources/golden with the logits and the greedy tokens
that Hugging Face transformers computes for them in float32 on the CPU.

usage: make_golden.py DIRECTORY [NAME...]

Each model is a directory: weights; config.json as transformers 5 writes it; config-transformers4.json, the
same in the older spelling; golden.json, a list of {"prompt", "logits" after the prompt, "greedy"}. The
weights are drawn so wide that every part of a layer shows in the logits, and are drawn again until no
greedy choice is close. (llama2, llama3, mistral and falcon180b, which have no older spelling beside them,
come from the same procedure at other sizes.)
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import FalconConfig, FalconForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers import Qwen3Config, Qwen3ForCausalLM

PROMPTS = (1, 7, 16, 33, 90)
GREEDY = 16
MARGIN = 0.02  # between the likeliest token and the next, far above the rounding of a float

GATED = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
             bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5)
FALCON = dict(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=256, bos_token_id=1, eos_token_id=2)


def rope(theta=10000.0, kind="default", **more):
    return {"rope_theta": theta, "rope_type": kind, **more}


# name: (model, configuration, dtype of the file, number of files)
MODELS = {
    "yi": (LlamaForCausalLM, LlamaConfig(
        **GATED | dict(num_key_value_heads=1, tie_word_embeddings=False), rope_parameters=rope(5e6)),
        torch.float32, 1),
    "llama-linear": (LlamaForCausalLM, LlamaConfig(
        **GATED, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_parameters=rope(kind="linear", factor=2.5)), torch.float32, 2),
    "llama-bf16": (LlamaForCausalLM, LlamaConfig(
        **GATED, tie_word_embeddings=False, rope_parameters=rope()), torch.bfloat16, 2),
    "llama-f16": (LlamaForCausalLM, LlamaConfig(
        **GATED, head_dim=24, tie_word_embeddings=True, rope_parameters=rope()), torch.float16, 1),
    "llama-heads64": (LlamaForCausalLM, LlamaConfig(
        **GATED, head_dim=64, tie_word_embeddings=False, rope_parameters=rope()), torch.bfloat16, 1),
    "mistral-full": (MistralForCausalLM, MistralConfig(
        **GATED, head_dim=16, sliding_window=None, rope_parameters=rope(1e6)), torch.bfloat16, 1),
    "mistral-heads128": (MistralForCausalLM, MistralConfig(
        **GATED, head_dim=128, sliding_window=None, rope_parameters=rope(1e6)), torch.bfloat16, 1),
    "mistral-window": (MistralForCausalLM, MistralConfig(
        **GATED, head_dim=12, sliding_window=21, rope_parameters=rope()), torch.float32, 1),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        **GATED, tie_word_embeddings=True, use_sliding_window=False, sliding_window=20,
        max_window_layers=1, rope_parameters=rope(1e6)), torch.float32, 1),
    "qwen2-window": (Qwen2ForCausalLM, Qwen2Config(
        **GATED, use_sliding_window=True, sliding_window=20, max_window_layers=1,
        rope_parameters=rope(1e6)), torch.float32, 1),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(
        **GATED, head_dim=16, tie_word_embeddings=True, rope_parameters=rope(1e6)), torch.float32, 1),
    "qwen3-bias": (Qwen3ForCausalLM, Qwen3Config(
        **GATED, head_dim=16, attention_bias=True, use_sliding_window=True, sliding_window=7,
        layer_types=["sliding_attention", "full_attention"], rope_parameters=rope(1e6)),
        torch.bfloat16, 1),
    "falcon7b": (FalconForCausalLM, FalconConfig(**FALCON, rope_parameters=rope()), torch.float32, 1),
    "falcon40b-one-norm": (FalconForCausalLM, FalconConfig(
        **FALCON, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, bias=True,
        rope_parameters=rope()), torch.float32, 1),
    "falcon-sequential": (FalconForCausalLM, FalconConfig(
        **FALCON, multi_query=False, parallel_attn=False, bias=True, ffn_hidden_size=80,
        tie_word_embeddings=False, rope_parameters=rope()), torch.float32, 1),
}


def draw(model, generator):
    """Wide weights; as wide ones for the biases and the norms, which a new model has at 0 and 1."""
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            std = (2.0 if "q_proj" in name or "k_proj" in name else 1.2) / weight.shape[1] ** 0.5
            weight.data.normal_(0, std, generator=generator)
        elif weight.dim() == 2:
            weight.data.normal_(0, 0.6, generator=generator)
        elif name.endswith("bias"):
            weight.data.normal_(0, 0.3, generator=generator)
        else:
            weight.data.normal_(1, 0.25, generator=generator)


@torch.no_grad()
def golden(model, vocabulary, generator):
    """The cases, or None if a choice is too close."""
    cases = []
    for length in PROMPTS:
        prompt = torch.randint(3, vocabulary, (length,), generator=generator).tolist()
        ids, first = list(prompt), None
        for _ in range(GREEDY):
            # The whole text each time: no cache of keys that could hide a mistake.
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            first = logits if first is None else first
            top = logits.topk(2).values
            if top[0] - top[1] < MARGIN:
                return None
            ids.append(logits.argmax().item())
        cases.append({"prompt": prompt, "logits": [round(x, 6) for x in first.tolist()], "greedy": ids[length:]})
    return cases


def older_spelling(config):
    """As transformers 4 wrote it, and for Falcon as its authors did before."""
    older = dict(config)
    older["transformers_version"] = "4.46.0"
    older["torch_dtype"] = older.pop("dtype")
    parameters = dict(older.pop("rope_parameters"))
    theta, kind = parameters.pop("rope_theta"), parameters.pop("rope_type")
    if older["model_type"] != "falcon":
        older["rope_theta"] = theta
        older["rope_scaling"] = None if kind == "default" else {"type": kind, **parameters}
        older.pop("layer_types") if config.get("max_window_layers") == 1 else None
        return older
    for name, old in {"num_attention_heads": "n_head", "num_hidden_layers": "n_layer",
                      "num_kv_heads": "n_head_kv", "hidden_size": "n_embed"}.items():
        older[old] = older.pop(name)
    if older["ffn_hidden_size"] == 4 * older["n_embed"]:
        del older["ffn_hidden_size"]
    for key, default in (("activation", "gelu"), ("num_ln_in_parallel_attn", None), ("tie_word_embeddings", True)):
        if type(older[key]) is type(default) and older[key] == default:
            del older[key]
    return older


def save(directory, model, dtype, files):
    tied = model.config.tie_word_embeddings
    weights = {name: weight.to(dtype).contiguous() for name, weight in model.state_dict().items()
               if not (tied and name == "lm_head.weight")}
    names = sorted(weights)
    if files == 1:
        save_file(weights, directory / "model.safetensors", {"format": "pt"})
        return
    index = {}
    for i in range(files):
        shard = f"model-{i + 1:05}-of-{files:05}.safetensors"
        part = {name: weights[name] for name in names[i::files]}
        save_file(part, directory / shard, {"format": "pt"})
        index |= dict.fromkeys(part, shard)
    write(directory / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})


def write(file, value):
    file.write_text(json.dumps(value, indent=1, sort_keys=isinstance(value, dict)) + "\n")


def make(directory, name):
    kind, config, dtype, files = MODELS[name]
    for seed in range(1000):
        generator = torch.Generator().manual_seed(seed)
        model = kind._from_config(config, attn_implementation="eager").eval()
        draw(model, generator)
        for weight in model.parameters():  # what the file will hold, computed in float32
            weight.data = weight.data.to(dtype).to(torch.float32)
        cases = golden(model, config.vocab_size, generator)
        if cases is not None:
            break
    directory = directory / name
    directory.mkdir(parents=True, exist_ok=True)
    save(directory, model, dtype, files)
    keys = config.to_dict() | {"architectures": [kind.__name__], "dtype": str(dtype).removeprefix("torch.")}
    keys = {key: value for key, value in keys.items() if not key.startswith("_")}
    write(directory / "config.json", keys)
    write(directory / "config-transformers4.json", older_spelling(keys))
    (directory / "golden.json").write_text(
        "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(name, "seed", seed, "largest logit", max(cases[0]["logits"]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[2:] or MODELS:
        make(pathlib.Path(sys.argv[1]), chosen)
