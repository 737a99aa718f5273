#include "data/dataset.h"

#include <cstring>

#include "data/checksum.h"
#include "dist/error.h"

namespace saddle {
namespace {

class InMemory final : public Dataset {
 public:
  InMemory(Schema schema, const Batch& samples, nlohmann::json provenance)
      : schema_(std::move(schema)), provenance_(std::move(provenance)), size_(samples.size()) {
    for (const Field& field : schema_.fields) samples_.set(field.name, checked(field, samples[field.name]));
    Fingerprint hash(schema_);
    for (int64_t i = 0; i < size_; ++i)
      for (const Field& field : schema_.fields) hash.add(checksum(row(field, i), field.bytes()));
    fingerprint_ = hash.text();
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  const nlohmann::json& provenance() const override { return provenance_; }
  std::string fingerprint() const override { return fingerprint_; }

  Batch read(const std::vector<int64_t>& indices) const override {
    Batch out;
    for (const Field& field : schema_.fields) out.set(field.name, gather(field, indices));
    return out;
  }

 private:
  torch::Tensor checked(const Field& field, const torch::Tensor& tensor) const {
    std::vector<int64_t> shape{size_};
    shape.insert(shape.end(), field.shape.begin(), field.shape.end());
    require(tensor.sizes() == shape && tensor.scalar_type() == field.dtype, Exit::bug,
            "in_memory: {} is {} [{}], the schema says {}", field.name, torch::toString(tensor.scalar_type()),
            fmt::join(tensor.sizes(), ", "), describe(schema_));
    return tensor.cpu().contiguous();
  }

  const char* row(const Field& field, int64_t index) const {
    require(index >= 0 && index < size_, Exit::bug, "sample {} of {}", index, size_);
    return static_cast<const char*>(samples_[field.name].const_data_ptr()) + index * field.bytes();
  }

  torch::Tensor gather(const Field& field, const std::vector<int64_t>& indices) const {
    torch::Tensor out = empty_rows(field, int64_t(indices.size()));
    char* to = static_cast<char*>(out.mutable_data_ptr());
    for (size_t i = 0; i < indices.size(); ++i)
      std::memcpy(to + i * field.bytes(), row(field, indices[i]), field.bytes());
    return out;
  }

  Schema schema_;
  nlohmann::json provenance_;
  int64_t size_;
  Batch samples_;
  std::string fingerprint_;
};

}  // namespace

std::shared_ptr<Dataset> in_memory(Schema schema, Batch samples, nlohmann::json provenance) {
  return std::make_shared<InMemory>(std::move(schema), samples, std::move(provenance));
}

}  // namespace saddle
