// What one sample of a data set is: named arrays. Nets size themselves from it, the trainer never looks
// inside.
#pragma once

#include "dist/tensor.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace saddle {

// One named array of a sample. Images are uint8 or uint16 [C, H, W], volumes [C, D, H, W], handed to nets as
// floats in [-1, 1]; points and features are float32 [D]; labels are int64 [] in [0, classes); label maps,
// tokens and other integers are int16, int32 or int64, handed over as they are.
//
// A variable field has between 0 and shape[0] rows along its first extent, which shards store one after
// another. Batches hold it padded with zeros to shape[0], beside int64 [] `<name>_length`.
struct Field {
  std::string name;
  std::vector<int64_t> shape;  // of one sample, the longest
  torch::ScalarType dtype = torch::kFloat;
  int64_t classes = 0;                   // > 0: a label, or tokens below it
  std::vector<std::string> class_names;  // empty, or one a class
  bool variable = false;

  int64_t elements() const;   // of one sample, the longest
  int64_t bytes() const;      // likewise
  int64_t row_bytes() const;  // of one step along the first extent of a variable field; bytes() of others
  bool operator==(const Field&) const = default;
};

struct Schema {
  std::vector<Field> fields;

  bool has(std::string_view name) const;
  const Field& operator[](std::string_view name) const;  // Exit::data names the fields there are
  int64_t sample_bytes() const;                          // of all fields, the longest
  bool operator==(const Schema&) const = default;
};

nlohmann::json to_json(const Schema&);
Schema schema_from_json(const nlohmann::json&);        // Exit::data when malformed
torch::Tensor empty_rows(const Field&, int64_t rows);  // [rows, shape...], uninitialised, on the host
std::string describe(const Schema&);  // "image uint8 [1, 28, 28], label int64 [] of 10 classes"

// A few samples: every tensor is [B, shape...] of its field, in the schema's order.
class Batch {
 public:
  Batch() = default;
  Batch(std::initializer_list<std::pair<std::string, torch::Tensor>> fields) : fields_(fields) {}
  bool has(std::string_view name) const;
  const torch::Tensor& operator[](std::string_view name) const;  // Exit::bug names the fields there are
  void set(const std::string& name, torch::Tensor value);
  int64_t size() const { return fields_.empty() ? 0 : fields_.front().second.size(0); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, torch::Tensor>> fields_;
};

}  // namespace saddle
