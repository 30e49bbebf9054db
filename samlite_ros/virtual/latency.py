"""How long the network takes, on a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.errors import ParameterError

ENCODE_SHARE = 0.64
"""Share of the image encoder in a pass of one phrase; of full-size SAM3 with one phrase."""

TOKENS_SHARE = 0.975
"""What of the image encoder's time goes with the tokens that it computes; measured at full size."""

NEVER = 1 << 62
"""A time after all others [ns]."""


@dataclass(frozen=True)
class LatencyProfile:
    """How long the network takes.

    Args:
        encode_s: For the image embedding [s].
        decode_s: For each phrase decoded on it [s].
        blocks: Parts of the image encoder, between which a late query may be decoded.
        decode_steps: The same of the decoding, however many phrases.
    """

    encode_s: float
    decode_s: float
    blocks: int = 32
    decode_steps: int = 12

    def encode_ns(self, computed: float = 1.0) -> int:
        """How long the image embedding takes where this share of the tokens is computed [ns]."""
        return int(self.encode_s * (1 - TOKENS_SHARE * (1 - computed)) * 1e9)

    def next_look_ns(self, now_ns: int, encode_ends_ns: int, ends_ns: int, decode_ns: int) -> int:
        """When a running pass looks for a late query next [ns]; NEVER = not before it ends.

        Args:
            now_ns: Now [ns].
            encode_ends_ns, ends_ns: When its image encoder and the whole of it end [ns].
            decode_ns: How long its decoding takes [ns].
        """
        block_ns = max(int(self.encode_s * 1e9) // self.blocks, 1)
        step_ns = max(decode_ns // self.decode_steps, 1)
        following_ns = now_ns + (block_ns if now_ns < encode_ends_ns else step_ns)
        return following_ns if following_ns < ends_ns else NEVER

    @classmethod
    def of_total_ms(cls, total_ms: float) -> LatencyProfile:
        """The profile of a network that takes so long for one phrase [ms]."""
        return cls(ENCODE_SHARE * total_ms / 1e3, (1 - ENCODE_SHARE) * total_ms / 1e3)


NO_LATENCY = LatencyProfile(0.0, 0.0)


PROFILES_MS = {"orin-nx": 950.0, "agx-orin": 763.0, "agx-orin-int8": 462.0, "thor": 126.0, "thor-int8": 91.0}
"""Published time of a whole pass of SAM3 with one phrase [ms]; those but orin-nx by TensorRT, int8 mixed with fp16."""


MAX_MS = 1e9
"""No pass takes so long [ms]."""


def parse_profile(text: str) -> LatencyProfile:
    """A latency profile: a name of `PROFILES_MS`, 'TOTAL' of one phrase, or 'ENCODE,DECODE' of one phrase [ms].

    Raises:
        ParameterError: It is none of these.
    """
    if text in PROFILES_MS:
        return LatencyProfile.of_total_ms(PROFILES_MS[text])
    try:
        values_ms = [float(part) for part in text.split(",")]
    except ValueError:
        values_ms = []
    if len(values_ms) not in (1, 2) or not all(0 <= value < MAX_MS for value in values_ms):
        raise ParameterError(
            f"latency {text!r}: expected {', '.join(PROFILES_MS)}, milliseconds of a pass with one phrase, "
            "or milliseconds ENCODE,DECODE"
        )
    if len(values_ms) == 1:
        return LatencyProfile.of_total_ms(values_ms[0])
    return LatencyProfile(values_ms[0] / 1e3, values_ms[1] / 1e3)
