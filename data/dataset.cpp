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
    for (const Field& field : schema_.fields) keep(field, samples);
    Fingerprint hash(schema_);
    for (int64_t i = 0; i < size_; ++i)
      for (size_t f = 0; f < schema_.fields.size(); ++f) {
        const Field& field = schema_.fields[f];
        hash.add(
            checksum(row(f, i), size_t(field.variable ? length(f, i) * field.row_bytes() : field.bytes())));
      }
    fingerprint_ = hash.text();
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  const nlohmann::json& provenance() const override { return provenance_; }
  std::string fingerprint() const override { return fingerprint_; }

  bool read_sample(int64_t index, std::span<Place> places) const override {
    for (size_t f = 0; f < places.size(); ++f) {
      if (!places[f].row) continue;
      const Field& field = schema_.fields[f];
      std::memcpy(places[f].row, row(f, index), size_t(field.bytes()));
      places[f].length = length(f, index);
    }
    return false;
  }

 private:
  void keep(const Field& field, const Batch& samples) {
    samples_.set(field.name, checked(field, samples[field.name]));
    rows_.push_back(static_cast<const char*>(samples_[field.name].const_data_ptr()));
    lengths_.push_back(nullptr);
    if (!field.variable) return;
    const std::string name = length_name(field);
    samples_.set(
        name, checked({.name = name, .shape = {}, .dtype = torch::kLong, .class_names = {}}, samples[name]));
    lengths_.back() = samples_[name].const_data_ptr<int64_t>();
  }

  torch::Tensor checked(const Field& field, const torch::Tensor& tensor) const {
    std::vector<int64_t> shape{size_};
    shape.insert(shape.end(), field.shape.begin(), field.shape.end());
    require(tensor.sizes() == shape && tensor.scalar_type() == field.dtype, Exit::bug,
            "in_memory: {} is {} [{}], the schema says {}", field.name, torch::toString(tensor.scalar_type()),
            fmt::join(tensor.sizes(), ", "), describe(schema_));
    return tensor.cpu().contiguous();
  }

  const char* row(size_t f, int64_t index) const {
    require(index >= 0 && index < size_, Exit::bug, "sample {} of {}", index, size_);
    return rows_[f] + index * schema_.fields[f].bytes();
  }

  int64_t length(size_t f, int64_t index) const { return lengths_[f] ? lengths_[f][index] : 0; }

  Schema schema_;
  nlohmann::json provenance_;
  int64_t size_;
  Batch samples_;  // owns what these point to:
  std::vector<const char*> rows_;
  std::vector<const int64_t*> lengths_;
  std::string fingerprint_;
};

}  // namespace

std::string length_name(const Field& field) {
  return field.name + "_length";
}

Batch Dataset::read(const std::vector<int64_t>& indices) const {
  const auto& fields = schema().fields;
  const auto count = int64_t(indices.size());
  Batch out;
  for (const Field& field : fields) {
    out.set(field.name, empty_rows(field, count));
    if (field.variable) out.set(length_name(field), torch::empty({count}, torch::kLong));
  }
  std::vector<Place> places(fields.size());
  for (int64_t i = 0; i < count; ++i) {
    for (size_t f = 0; f < fields.size(); ++f)
      places[f].row = static_cast<char*>(out[fields[f].name].mutable_data_ptr()) + i * fields[f].bytes();
    read_sample(indices[size_t(i)], places);
    for (size_t f = 0; f < fields.size(); ++f)
      if (fields[f].variable) out[length_name(fields[f])].mutable_data_ptr<int64_t>()[i] = places[f].length;
  }
  return out;
}

std::shared_ptr<Dataset> in_memory(Schema schema, Batch samples, nlohmann::json provenance) {
  return std::make_shared<InMemory>(std::move(schema), samples, std::move(provenance));
}

}  // namespace saddle
