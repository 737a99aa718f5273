// Animated GIFs (CompuServe's GIF89a) by giflib, frame by frame as they are shown.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "dist/tensor.h"

namespace saddle {

struct GifInfo {
  int64_t frames = 0, height = 0, width = 0;
};

// Below, `name` is what errors call the GIF, `bytes` its file. Exit::data if it is none, is damaged, or
// claims more pixels than so few bytes can hold. Thread-safe.
GifInfo gif_info(const std::string& name, std::string_view bytes);  // decodes no pixels
// Shows the frames from `first` on, `count` of them: uint8 [4, H, W], the whole picture with what earlier
// frames left on it. Each is good until `show` returns.
void play_gif(const std::string& name, std::string_view bytes, int64_t first, int64_t count,
              const std::function<void(const torch::Tensor&)>& show);

}  // namespace saddle
