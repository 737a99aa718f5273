#include "data/feed/pool.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace saddle {
namespace {

constexpr size_t kLeast = size_t{64} << 10;  // smaller blocks are the allocator's business
constexpr size_t kAlignment = 4096;

}  // namespace

struct Pool::Blocks {
  explicit Blocks(int64_t most) : most(size_t(most)) {}
  ~Blocks() {
    for (auto& [bytes, blocks] : free)
      for (void* block : blocks) std::free(block);
  }
  Blocks(const Blocks&) = delete;

  void* take(size_t bytes) {
    {
      const std::lock_guard lock(mutex);
      if (auto& blocks = free[bytes]; !blocks.empty()) {
        void* block = blocks.back();
        blocks.pop_back();
        return block;
      }
    }
    void* block = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (!block) throw std::bad_alloc();
    return block;
  }

  void give_back(size_t bytes, void* block) {
    {
      const std::lock_guard lock(mutex);
      if (auto& blocks = free[bytes]; blocks.size() < most) return blocks.push_back(block);
    }
    std::free(block);
  }

  const size_t most;
  std::mutex mutex;  // guards what follows
  std::map<size_t, std::vector<void*>> free;
};

Pool::Pool(int64_t most) : blocks_(std::make_shared<Blocks>(most)) {}

torch::Tensor Pool::empty(at::IntArrayRef sizes, torch::ScalarType dtype) {
  const size_t bytes = size_t(c10::multiply_integers(sizes)) * torch::elementSize(dtype);
  if (bytes < kLeast) return torch::empty(sizes, dtype);
  void* block = blocks_->take(bytes);
  return torch::from_blob(
      block, sizes, [blocks = blocks_, bytes](void* done) { blocks->give_back(bytes, done); },
      torch::TensorOptions(dtype));
}

}  // namespace saddle
