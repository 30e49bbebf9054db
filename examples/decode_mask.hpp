// Turn the run lengths of an InstanceMask into an image.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "samlite_ros/msg/instance_mask.hpp"

// Row by row, height x width values: 1 where the thing is, 0 elsewhere.
inline std::vector<std::uint8_t> decode_mask(const samlite_ros::msg::InstanceMask & mask)
{
  std::vector<std::uint8_t> image(std::size_t{mask.height} * mask.width);
  std::size_t pixel = 0;  // column by column
  std::uint8_t value = 0;  // zeros and ones in turn, zeros first
  for (std::uint32_t run : mask.counts) {
    for (const auto end = std::min(pixel + run, image.size()); pixel < end; ++pixel) {
      image[pixel % mask.height * mask.width + pixel / mask.height] = value;
    }
    value = 1 - value;
  }
  return image;
}
