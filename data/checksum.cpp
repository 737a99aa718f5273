#include "data/checksum.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace saddle {

uint64_t checksum(const void* bytes, size_t count) {
  return XXH3_64bits(bytes, count);
}

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

struct Fingerprint::Hash {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state{XXH3_createState()};  // it must be aligned to 64
};

Fingerprint::Fingerprint(const Schema& schema) : hash_(std::make_unique<Hash>()) {
  const std::string text = to_json(schema).dump();
  XXH3_64bits_reset(hash_->state.get());
  XXH3_64bits_update(hash_->state.get(), text.data(), text.size());
}

Fingerprint::~Fingerprint() = default;
Fingerprint::Fingerprint(Fingerprint&&) noexcept = default;

void Fingerprint::add(uint64_t checksum) {
  XXH3_64bits_update(hash_->state.get(), &checksum, sizeof checksum);
}

std::string Fingerprint::text() const {
  return hex(XXH3_64bits_digest(hash_->state.get()));
}

}  // namespace saddle
