"""The noise of each channel of an image: given, or told from the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_estimate import NoiseEstimate, estimated_noise

FAINT = 200.0
"""From this signal-to-noise ratio on, structure can hardly be told from correlated noise."""


@dataclass(frozen=True, slots=True)
class ChannelNoise:
    """``noises`` by the number of the channel (0 without a channel axis): None where there is none.

    ``estimates`` are empty where the noise was given.
    """

    noises: Mapping[int, CameraNoise | None]
    estimates: Mapping[int, NoiseEstimate]

    @classmethod
    def of(cls, image: AxesArray, given: CameraNoise | None) -> ChannelNoise:
        """Of an image; ``given`` holds for all channels.

        Raises
        ------
        InputError
            If the image is too small to tell.
        """
        count = image.sizes.get(CHANNEL, 1)
        if given is not None:
            return cls(dict.fromkeys(range(count), given), {})
        found = {
            channel: estimated_noise(channel_of(image, channel).data) for channel in range(count)
        }
        return cls({c: estimate.noise for c, estimate in found.items()}, found)

    @property
    def any_noise(self) -> bool:
        return any(noise is not None for noise in self.noises.values())

    @property
    def described(self) -> dict[str, Any]:
        """For the record: gain, offset and read noise of each channel."""
        plain = [None if noise is None else asdict(noise) for noise in self.noises.values()]
        return {"noise": plain, "noise_from": "the image" if self.estimates else "what was given"}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each."""
        notes = []
        for channel, estimate in self.estimates.items():
            where = f" in channel {channel}" if len(self.estimates) > 1 else ""
            if estimate.noise is None:
                notes.append(f"No noise was found{where}: it is left as it is.")
            elif estimate.clean:
                notes.append(f"There is hardly any noise{where}; little changes.")
            elif estimate.correlated and estimate.snr < FAINT:
                notes.append(
                    f"The noise of neighbouring pixels is alike{where}, so there is more of it "
                    "than was estimated; a larger strength, or learning with pixels hidden along "
                    "rows or columns, takes more away."
                )
        return tuple(notes)


def channel_of(image: AxesArray, channel: int) -> AxesArray:
    """One channel, its rows and columns last; lazy."""
    alone = image.at(C=channel) if CHANNEL in image.axes else image
    lead = "".join(axis for axis in alone.axes if axis not in "YX")
    return alone.moved_to(lead + "YX")
