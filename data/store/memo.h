// A word for each sample that was read before, so that a label need not be read again: a system call costs
// more than copying a small picture.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

namespace saddle {

// Thread-safe. Pages are taken as they are first written.
class Memo {
 public:
  static constexpr int64_t kBytes = sizeof(uint64_t) + 1;  // a sample

  explicit Memo(int64_t count) : words_(zeros<uint64_t>(count)), known_(zeros<uint8_t>(count)) {}

  std::optional<uint64_t> get(int64_t index) const {
    if (!at(known_, index).load(std::memory_order_acquire)) return {};
    return at(words_, index).load(std::memory_order_relaxed);
  }
  void put(int64_t index, uint64_t word) const {
    at(words_, index).store(word, std::memory_order_relaxed);
    at(known_, index).store(1, std::memory_order_release);
  }

 private:
  template <class T>
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  template <class T>
  using Array = std::unique_ptr<T, Free<T>>;

  template <class T>
  static Array<T> zeros(int64_t count) {
    Array<T> all(static_cast<T*>(std::calloc(size_t(count), sizeof(T))));
    if (!all) throw std::bad_alloc();
    return all;
  }
  template <class T>
  static std::atomic_ref<T> at(const Array<T>& all, int64_t index) {
    return std::atomic_ref<T>(all.get()[index]);
  }

  Array<uint64_t> words_;
  Array<uint8_t> known_;
};

}  // namespace saddle
