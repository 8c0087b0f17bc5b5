"""Small networks of many families, built from configs, and the patterns of their own code."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import Tensor, nn

VOCAB = 100
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": VOCAB,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}


def tokens(n: int = 9) -> Tensor:
    return torch.randint(3, VOCAB, (2, n), generator=torch.Generator().manual_seed(1))


def padded() -> dict[str, Tensor]:
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": tokens(), "attention_mask": mask}


def _gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        n_embd=32, n_layer=3, n_head=4, vocab_size=VOCAB, n_positions=32, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def _deepseek() -> nn.Module:
    sizes = {**SIZES, "num_key_value_heads": 4, "moe_intermediate_size": 16}
    config = transformers.DeepseekV3Config(
        **sizes, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=8,
        v_head_dim=8, n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1,
        first_k_dense_replace=1,
    )  # fmt: skip
    return transformers.DeepseekV3ForCausalLM(config)


def _t5() -> nn.Module:
    config = transformers.T5Config(
        d_model=32, d_ff=64, d_kv=8, num_layers=3, num_heads=4, vocab_size=VOCAB,
        decoder_start_token_id=0,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config)


def _whisper() -> nn.Module:
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=VOCAB,
        num_mel_bins=8, max_source_positions=10, max_target_positions=16, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return transformers.WhisperForConditionalGeneration(config)


def _vit() -> nn.Module:
    config = transformers.ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        image_size=16, patch_size=4,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


def text() -> dict[str, Tensor]:
    return {"input_ids": tokens()}


def two_texts() -> dict[str, Tensor]:
    return {"input_ids": tokens(), "decoder_input_ids": tokens(5)}


FAMILIES: dict[str, tuple[Callable[[], nn.Module], Callable[[], dict[str, Tensor]], int]] = {
    # name: (network, batch, number of attentions)
    "GPT-2": (_gpt2, text, 3),
    "GPT-NeoX": (
        lambda: transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**SIZES)), text, 3,
    ),
    "Llama": (
        lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**GROUPED)), text, 3,
    ),
    "Qwen3": (
        lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**GROUPED, head_dim=8)),
        text, 3,
    ),
    "Gemma 3": (
        lambda: transformers.Gemma3ForCausalLM(
            transformers.Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=4)
        ),
        text, 3,
    ),
    "BERT, padded": (
        lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SIZES)), padded, 3,
    ),
    "ViT": (_vit, lambda: {"pixel_values": torch.randn(2, 3, 16, 16)}, 3),
    "T5": (_t5, two_texts, 9),
    "Whisper": (
        _whisper,
        lambda: {"input_features": torch.randn(2, 8, 20), "decoder_input_ids": tokens(5)},
        6,
    ),
    "Mixtral": (
        lambda: transformers.MixtralForCausalLM(
            transformers.MixtralConfig(**GROUPED, num_local_experts=4)
        ),
        text, 3,
    ),
    "DeepSeek-V3": (_deepseek, text, 3),
    "gpt-oss": (
        lambda: transformers.GptOssForCausalLM(
            transformers.GptOssConfig(
                **GROUPED, head_dim=8, num_local_experts=4, num_experts_per_tok=2
            )
        ),
        text, 3,
    ),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network of the family, weights spread so that patterns are not flat, and its batch."""
    torch.manual_seed(0)
    network, batch, _ = FAMILIES[name]
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2 and name != "T5":  # which does not scale its scores
                parameter.mul_(4)
    return model, batch()


def eager_patterns(model: Any, batch: dict[str, Tensor]) -> list[Tensor]:
    """The patterns that the family gives under `eager`, in no promised order."""
    model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model.eval()(**batch, output_attentions=True)
    kinds = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    return [p for kind in kinds for p in (getattr(output, kind, None) or ())]
