#include "dist/error.h"
#include "models/nets/nets.h"

namespace saddle {

void freeze_lowest(const Layers& layers, int64_t count) {
  require(count <= static_cast<int64_t>(layers.size()), Exit::usage,
          "d.freeze is {}, the discriminator has {} hidden layers: choose 0 to {}", count, layers.size(),
          layers.size());
  for (int64_t i = 0; i < count; ++i)
    for (const auto& module : layers[i]) module->freeze();
}

}  // namespace saddle
