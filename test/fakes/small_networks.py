"""Small networks of the real architecture with lively random weights, built in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import AutoTokenizer, Sam3LiteTextConfig, Sam3LiteTextModel

from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint
from samlite_ros.segmenter.pytorch.precision import Precision
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.segmenter.sources import DEMO_FOLDER
from samlite_ros.types import Frame


@dataclass(frozen=True)
class Shape:
    """What differs between the networks under test."""

    image_size: int = 64
    patch: int = 8
    width: int = 32
    layers: int = 3
    window: int = 4
    global_layers: tuple[int, ...] = (2,)
    decoder_width: int = 32
    heads: int = 4
    queries: int = 8
    encoder_layers: int = 1
    decoder_layers: int = 2
    text_width: int = 32
    text_layers: int = 3
    positions: int = 32
    stages: int = 2


def make_config(shape: Shape) -> Sam3LiteTextConfig:
    common = {
        "hidden_size": shape.decoder_width,
        "num_attention_heads": shape.heads,
        "intermediate_size": 2 * shape.decoder_width,
        "dropout": 0.0,
    }
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": shape.width,
        "intermediate_size": 2 * shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": 2,
        "image_size": shape.image_size,
        "pretrain_image_size": shape.image_size,
        "patch_size": shape.patch,
        "window_size": shape.window,
        "global_attn_indexes": list(shape.global_layers),
    }
    return Sam3LiteTextConfig(
        vision_config={
            "model_type": "sam3_vision_model",
            "backbone_config": backbone,
            "fpn_hidden_size": shape.decoder_width,
        },
        text_config={
            "vocab_size": 64,
            "hidden_size": shape.text_width,
            "intermediate_size": 2 * shape.text_width,
            "projection_dim": shape.text_width,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": shape.heads,
            "max_position_embeddings": shape.positions,
            "layer_scale_init_value": 0.5,
            "repmixer_kernel_size": 3,
        },
        geometry_encoder_config={"num_layers": 1, "roi_size": 3, **common},
        detr_encoder_config={"num_layers": shape.encoder_layers, **common},
        detr_decoder_config={"num_layers": shape.decoder_layers, "num_queries": shape.queries, **common},
        mask_decoder_config={
            "hidden_size": shape.decoder_width,
            "num_upsampling_stages": shape.stages,
            "num_attention_heads": shape.heads,
        },
    )


def make_model(shape: Shape, seed: int) -> Sam3LiteTextModel:
    """Weights large enough that outputs are spread, so that two equal outputs are no accident."""
    torch.manual_seed(seed)
    model = Sam3LiteTextModel(make_config(shape))
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                is_norm = isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d)
                if parameter.ndim > 1:
                    parameter.normal_(std=max(parameter[0].numel(), 1) ** -0.5)
                else:
                    parameter.normal_(mean=float(is_norm and name == "weight"), std=0.2)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 1.5)
        model.detr_decoder.reference_points.weight.normal_()
        model.detr_decoder.query_embed.weight.normal_(std=5)
        model.text_encoder.embeddings.token_embedding.weight.normal_()
        _spread_scores(model.eval(), shape.image_size)
    return model.requires_grad_(False)


def _spread_scores(model: Sam3LiteTextModel, image_size: int) -> None:
    """Centre and scale the queries' projections, so that scores differ from query to query."""
    seen: list[torch.Tensor] = []
    projection = model.dot_product_scoring.query_proj
    hook = projection.register_forward_hook(lambda _module, _args, output: seen.append(output[-1]))
    tokens = torch.arange(32)[None]
    output = model(torch.randn(1, 3, image_size, image_size), input_ids=tokens, attention_mask=torch.ones_like(tokens))
    hook.remove()
    gain = 2 / float(output.pred_logits.std())
    projection.bias.sub_(seen[0].mean((0, 1))).mul_(gain)
    projection.weight.mul_(gain)


def make_checkpoint(shape: Shape, seed: int = 0) -> Checkpoint:
    tokenizer = AutoTokenizer.from_pretrained(DEMO_FOLDER, local_files_only=True)
    device = torch.device("cpu")
    return Checkpoint(
        make_model(shape, seed), tokenizer, "small", device, Precision(torch.float32), shape.image_size, None
    )


def make_segmenter(shape: Shape | None = None, seed: int = 0, **options: object) -> Sam3LiteTextSegmenter:
    chosen = SegmenterOptions(**options)
    backend = TorchBackend(make_checkpoint(shape or Shape(), seed), chosen.keep_text_encoder)
    return Sam3LiteTextSegmenter(backend, chosen)


def make_frame(seed: int = 0, height: int = 48, width: int = 64, stamp_ns: int = 1) -> Frame:
    """A noisy picture with large structure, so that a wrong resize shows."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(20 * (x * a + y * b) + c) for a, b, c in random.normal(size=(3, 3))]
    image = 127 + 80 * np.stack(waves, -1) + random.normal(scale=20, size=(height, width, 3))
    return Frame(image.clip(0, 255).astype(np.uint8), stamp_ns)
