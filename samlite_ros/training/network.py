"""The demo network: its configuration, tokenizer and first weights."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast, Sam3LiteTextConfig, Sam3LiteTextModel
from transformers.models.sam3.configuration_sam3 import Sam3VisionConfig, Sam3ViTConfig

from samlite_ros.scenes.vocabulary import words
from samlite_ros.training.recipe import Size

CONTEXT = 32
_HEADS = 4


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words; case does not matter, unknown words become [UNK]."""
    tokens = ["[PAD]", "[UNK]", "[BOS]", *words(), "[EOS]"]  # the text encoder takes the largest id for the end
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]",
        special_tokens=[("[BOS]", vocabulary["[BOS]"]), ("[EOS]", vocabulary["[EOS]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=CONTEXT,
    )


def build_config(size: Size) -> Sam3LiteTextConfig:
    """The network's configuration."""
    backbone = Sam3ViTConfig(
        hidden_size=size.vision_hidden,
        intermediate_size=size.vision_mlp,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=size.vision_hidden // 32,
        image_size=size.image_px,
        pretrain_image_size=size.image_px,
        patch_size=16,
        window_size=size.window,
        global_attn_indexes=list(range(1, size.vision_layers, 2)),
    )
    vision = Sam3VisionConfig(
        backbone_config=backbone.to_dict(),
        fpn_hidden_size=size.hidden,
        backbone_feature_sizes=[[factor * size.tokens] * 2 for factor in (4, 2, 1)],
    )
    common = {"hidden_size": size.hidden, "num_attention_heads": _HEADS, "intermediate_size": size.mlp, "dropout": 0.0}
    return Sam3LiteTextConfig(
        vision_config=vision,
        text_config={
            "vocab_size": len(words()) + 4,
            "hidden_size": size.text_hidden,
            "intermediate_size": 2 * size.text_hidden,
            "projection_dim": size.text_hidden,
            "num_hidden_layers": size.text_layers,
            "num_attention_heads": _HEADS,
            "max_position_embeddings": CONTEXT,
            "layer_scale_init_value": 0.1,  # at the usual 1e-5 the convolutional blocks would start as identities
            "repmixer_kernel_size": 3,
        },
        geometry_encoder_config={"num_layers": 1, "roi_size": 3, **common},
        detr_encoder_config={"num_layers": 2, **common},
        detr_decoder_config={"num_layers": 3, "num_queries": size.queries, **common},
        mask_decoder_config={"hidden_size": size.hidden, "num_upsampling_stages": 2, "num_attention_heads": _HEADS},
    )


def build_network(size: Size, seed: int) -> Any:
    """A network with first weights under which localisation can be learned in some thousand steps.

    Returns:
        Sam3LiteTextModel, float32, plain attention (its backward pass is the fastest one in bfloat16 on a CPU).
    """
    torch.manual_seed(seed)
    model: Any = Sam3LiteTextModel(build_config(size))
    for module in model.modules():
        _init_weights(module)
    with torch.no_grad():
        _init_vision(model.vision_encoder.backbone.embeddings)
        _init_decoder(model.detr_decoder)
        nn.init.normal_(model.text_encoder.embeddings.token_embedding.weight, std=0.5)
        nn.init.normal_(model.text_encoder.embeddings.position_embedding.position_embedding, std=0.1)
        model.mask_decoder.mask_embedder.layers[2].weight.mul_(0.3)
        model.mask_decoder.semantic_projection.bias.fill_(-2.0)
    model.set_attn_implementation("eager")
    for part in ("geometry_encoder", "detr_encoder", "detr_decoder", "mask_decoder"):
        getattr(model.config, f"{part}_config")._attn_implementation = "eager"
    model.geometry_encoder.requires_grad_(False)  # box prompts are not trained
    return model


def _init_weights(module: nn.Module) -> None:
    """Xavier everywhere: the default deviation of 0.02 suits far wider networks."""
    if not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        return
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        nn.init.normal_(module.weight, std=0.2)
    else:
        nn.init.xavier_uniform_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _init_vision(embeddings: Any) -> None:
    """Larger patch weights, and smooth 2-D sines as positions, so that "where" is readable from the first step."""
    patches = embeddings.patch_embeddings.projection.weight
    patches.normal_(std=1.5 * patches[0].numel() ** -0.5)
    positions = embeddings.position_embeddings  # (1, tokens, hidden)
    side, hidden = round(positions.shape[1] ** 0.5), positions.shape[2]
    centre = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = (axis.flatten()[:, None] for axis in torch.meshgrid(centre, centre, indexing="ij"))
    frequency = (torch.arange(hidden // 4) * 0.25 + 0.25).repeat(2) * (torch.pi / 2)
    phase = torch.rand(hidden // 2) * 2 * torch.pi
    waves = torch.cat([torch.sin(x * frequency + phase), torch.sin(y * frequency + phase.flip(0))], 1)
    positions.copy_(0.5 * waves[None])


def _init_decoder(decoder: Any) -> None:
    """Queries start on a grid and look at what lies in their box."""
    decoder.box_head.layer3.weight.mul_(0.1)
    nn.init.normal_(decoder.query_embed.weight, std=0.5)
    nn.init.normal_(decoder.presence_token.weight, std=0.5)
    side = round(decoder.config.num_queries**0.5)
    centre = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    boxes = torch.stack([x.flatten(), y.flatten(), torch.full((side**2,), 0.22), torch.full((side**2,), 0.25)], 1)
    decoder.reference_points.weight.copy_(torch.logit(boxes.clamp(0.02, 0.98)))
    for mlp in (decoder.box_rpb_embed_x, decoder.box_rpb_embed_y):
        _init_box_attention(mlp)


def _init_box_attention(mlp: Any) -> None:
    """Attention falls off outside a query's box, faster in each further head.

    The inputs are a token's signed distances to the box's two edges; two hidden units pass on how far outside it is.
    """
    mlp.layer1.weight[0] = torch.tensor([-1.0, 0.0])
    mlp.layer1.weight[1] = torch.tensor([0.0, 1.0])
    mlp.layer1.bias[:2] = 0.0
    mlp.layer2.weight.mul_(0.1)
    for head, slope in enumerate((3.0, 6.0, 9.0, 12.0)):
        mlp.layer2.weight[head, :2] = -slope
