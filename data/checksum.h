// Hashes of samples and of whole data sets (XXH3, 64 bit), the same for samples in memory and in shards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/schema.h"

namespace saddle {

uint64_t checksum(const void* bytes, size_t count);
std::string hex(uint64_t value);  // 16 digits

// The fingerprint of a data set: schema, then the checksum of every field of every sample, in order. It does
// not depend on how samples are spread over shards.
class Fingerprint {
 public:
  explicit Fingerprint(const Schema& schema);
  ~Fingerprint();
  Fingerprint(Fingerprint&&) noexcept;
  void add(uint64_t checksum);
  std::string text() const;

 private:
  struct Hash;
  std::unique_ptr<Hash> hash_;
};

}  // namespace saddle
