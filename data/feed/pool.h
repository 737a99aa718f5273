// Memory of batches, used again: fresh memory costs a page fault and zeroing for every 4 KiB, which takes
// longer than reading a batch of pictures into it.
#pragma once

#include <memory>

#include "dist/tensor.h"

namespace saddle {

// Thread-safe. A tensor keeps its memory as long as it, or a view of it, lives, also beyond the pool.
class Pool {
 public:
  explicit Pool(int64_t most);  // blocks of a size that are kept for reuse
  // Uninitialised, on the host.
  torch::Tensor empty(at::IntArrayRef sizes, torch::ScalarType dtype);

 private:
  struct Blocks;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace saddle
