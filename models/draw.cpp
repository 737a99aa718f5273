#include "models/draw.h"

namespace saddle {

Stream Draw::next() {
  return {where_.seed, where_.purpose,
          static_cast<uint64_t>(where_.step) << 20 | static_cast<uint64_t>(calls_++)};
}

torch::Tensor Draw::latent(int64_t size) {
  if (where_.replay) return where_.replay({count(), size});
  return normal(next(), where_.samples, {size}, where_.dtype).to(where_.device);
}

torch::Tensor Draw::uniform(at::IntArrayRef shape) {
  if (where_.replay) {
    std::vector<int64_t> sizes{count()};
    sizes.insert(sizes.end(), shape.begin(), shape.end());
    return where_.replay(sizes);
  }
  return saddle::uniform(next(), where_.samples, shape, where_.dtype).to(where_.device);
}

torch::Tensor Draw::labels(int64_t classes) {
  return integers(next(), where_.samples, classes).to(where_.device);
}

}  // namespace saddle
