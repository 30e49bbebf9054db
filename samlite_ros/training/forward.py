"""The network's forward pass as training needs it: the outputs of every decoder layer, masks only where asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.masking_utils import create_bidirectional_mask

from samlite_ros.scenes.vocabulary import COLOURS, SHAPES
from samlite_ros.training.batches import Batch


@dataclass(frozen=True, eq=False)
class Outputs:
    """L decoder layers, K prompts, Q queries, B images, N image tokens, masks of side M.

    Args:
        boxes: (L, K, Q, 4): centre x, centre y, width, height, 0 to 1.
        scores: (L, K, Q) logits.
        presence: (L, K) logits.
        queries: (L, K, Q, C).
        pixel_embedding: (K, C, M, M): times a mask embedding = mask logits.
        semantic: (K, M, M) logits of all that the prompt names.
        text_tokens: (K, N, C): image tokens after they have seen the text.
        image_tokens: (B, N, C): image tokens of the encoder.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    presence: torch.Tensor
    queries: torch.Tensor
    pixel_embedding: torch.Tensor
    semantic: torch.Tensor
    text_tokens: torch.Tensor
    image_tokens: torch.Tensor


class TokenHeads(nn.Module):
    """Heads that are thrown away after training: what each image token shows, and where that object's box is.

    Without them the decoder's few queries have to discover localisation and shape alone, and don't.

    Args:
        hidden: Width of the tokens.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.shape = nn.Linear(hidden, len(SHAPES) + 1)
        self.colour = nn.Linear(hidden, len(COLOURS) + 1)
        self.box = nn.Linear(hidden, 4)
        self.text_box = nn.Linear(hidden, 4)


def forward(model: Any, batch: Batch) -> Outputs:
    """Run the network on a batch; the same stages as `Sam3LiteTextModel.forward`."""
    vision = model.vision_encoder(batch.pixels)
    image = [_per_prompt(feature, len(batch.wanted)) for feature in vision.fpn_hidden_states[:-1]]
    where = vision.fpn_position_encoding[-2][:1].expand(len(batch.wanted), -1, -1, -1)
    text = model.get_text_features(input_ids=batch.token_ids, attention_mask=batch.token_mask, return_dict=True)
    text_mask = batch.token_mask.bool()
    encoded = model.detr_encoder(
        vision_features=[image[-1]],
        text_features=text.pooler_output,
        vision_pos_embeds=[where],
        text_mask=text_mask,
    )
    decoded = model.detr_decoder(
        vision_features=encoded.last_hidden_state,
        text_features=text.pooler_output,
        vision_pos_encoding=encoded.pos_embeds_flattened,
        text_mask=text_mask,
        spatial_shapes=encoded.spatial_shapes,
    )
    queries = decoded.intermediate_hidden_states
    scores = model.dot_product_scoring(
        decoder_hidden_states=queries, text_features=text.pooler_output, text_mask=text_mask
    )
    pixels = _embed_pixels(model.mask_decoder, image, encoded.last_hidden_state, text.pooler_output, text_mask)
    return Outputs(
        boxes=(_logit(decoded.reference_boxes) + model.detr_decoder.box_head(queries)).sigmoid().float(),
        scores=scores.squeeze(-1).float(),
        presence=decoded.presence_logits.squeeze(-1).float(),
        queries=queries,
        pixel_embedding=model.mask_decoder.instance_projection(pixels),
        semantic=model.mask_decoder.semantic_projection(pixels)[:, 0].float(),
        text_tokens=encoded.last_hidden_state,
        image_tokens=vision.fpn_hidden_states[-2].flatten(2).transpose(1, 2),
    )


def _per_prompt(feature: torch.Tensor, prompts: int) -> torch.Tensor:
    """Repeat image features from (B, ...) to (K, ...); by concatenation, whose backward pass is cheap."""
    return torch.cat([feature, feature[: prompts - len(feature)]])


def _logit(x: torch.Tensor, eps: float = 1e-3) -> torch.Tensor:
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def _embed_pixels(
    decoder: Any, image: list[torch.Tensor], tokens: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor
) -> torch.Tensor:
    """(K, C, M, M): the mask decoder's pixel embedding."""
    normed = decoder.prompt_cross_attn_norm(tokens)
    mask = create_bidirectional_mask(
        config=decoder.config, inputs_embeds=normed, encoder_hidden_states=text, attention_mask=text_mask
    )
    seen, _ = decoder.prompt_cross_attn(query=normed, key=text, value=text, attention_mask=mask)
    return decoder._embed_pixels(backbone_features=image, encoder_hidden_states=tokens + seen)
