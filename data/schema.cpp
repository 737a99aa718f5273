#include "data/schema.h"

#include <algorithm>
#include <array>
#include <set>

#include "dist/error.h"
#include "dist/json.h"

namespace saddle {
namespace {

// Every dtype a field may have. Little endian in files, so that they mean the same everywhere.
constexpr std::array<std::pair<torch::ScalarType, const char*>, 9> kDtypes{{{torch::kByte, "uint8"},
                                                                            {torch::kUInt16, "uint16"},
                                                                            {torch::kHalf, "float16"},
                                                                            {torch::kChar, "int8"},
                                                                            {torch::kShort, "int16"},
                                                                            {torch::kInt, "int32"},
                                                                            {torch::kLong, "int64"},
                                                                            {torch::kFloat, "float32"},
                                                                            {torch::kDouble, "float64"}}};

std::string dtype_name(torch::ScalarType dtype) {
  for (const auto& [type, name] : kDtypes)
    if (type == dtype) return name;
  fail(Exit::bug, "a field cannot be {}", torch::toString(dtype));
}

torch::ScalarType dtype_from_name(const std::string& name) {
  for (const auto& [type, known] : kDtypes)
    if (known == name) return type;
  fail(Exit::data, "schema: expected a dtype such as uint8, int64 or float32, found \"{}\"", name);
}

template <class Range, class Name>
std::string names(const Range& range, Name name) {
  std::string all;
  for (const auto& each : range) all += (all.empty() ? "" : ", ") + name(each);
  return all.empty() ? "none" : all;
}

nlohmann::json field_to_json(const Field& field) {
  nlohmann::json out{{"name", field.name}, {"shape", field.shape}, {"dtype", dtype_name(field.dtype)}};
  if (field.classes > 0) out["classes"] = field.classes;
  if (!field.class_names.empty()) out["class_names"] = field.class_names;
  if (field.variable) out["variable"] = true;
  return out;
}

void check(const Field& field) {
  const std::string& name = field.name;
  // A name is also a path in an HDF5 file.
  require(!name.empty() && name.front() != '.' && name.find('/') == std::string::npos, Exit::data,
          "schema: \"{}\" is no name for a field", name);
  require(std::all_of(field.shape.begin(), field.shape.end(), [](int64_t n) { return n > 0; }), Exit::data,
          "schema: field {} has shape [{}]; every extent must be positive", name,
          fmt::join(field.shape, ", "));
  constexpr size_t kMostAxes = 31;  // HDF5's limit, and one for the samples
  require(field.shape.size() <= kMostAxes, Exit::data, "schema: field {} has {} extents, at most {} are read",
          name, field.shape.size(), kMostAxes);
  double elements = 1;
  for (const int64_t extent : field.shape) elements *= double(extent);
  require(elements <= double(int64_t{1} << 48), Exit::data, "schema: field {} of [{}] is too large", name,
          fmt::join(field.shape, ", "));
  require(field.classes >= 0, Exit::data, "schema: field {} has {} classes", name, field.classes);
  require(field.classes == 0 || !torch::isFloatingType(field.dtype), Exit::data,
          "schema: field {} has classes, so it must be of integers", name);
  require(!field.variable || !field.shape.empty(), Exit::data,
          "schema: field {} is variable, so it needs a longest first extent", name);
  require(field.class_names.empty() || int64_t(field.class_names.size()) == field.classes, Exit::data,
          "schema: field {} has {} classes but {} class names", name, field.classes,
          field.class_names.size());
}

Field field_from_json(const nlohmann::json& in) {
  Field field{.name = text_at(in, "name"),
              .shape = {},
              .dtype = dtype_from_name(text_at(in, "dtype")),
              .classes = in.contains("classes") ? integer_at(in, "classes") : 0,
              .class_names = {},
              .variable = in.contains("variable") && boolean_at(in, "variable")};
  for (const nlohmann::json& extent : list_at(in, "shape")) field.shape.push_back(integer(extent));
  if (in.contains("class_names"))
    for (const nlohmann::json& name : list_at(in, "class_names")) field.class_names.push_back(text(name));
  check(field);
  return field;
}

std::string describe(const Field& field) {
  const char* most = field.variable ? "up to " : "";
  std::string out =
      fmt::format("{} {} [{}{}]", field.name, dtype_name(field.dtype), most, fmt::join(field.shape, ", "));
  if (field.classes == 0) return out;
  return out + fmt::format(" of {} class{}", field.classes, field.classes == 1 ? "" : "es");
}

}  // namespace

int64_t Field::elements() const {
  return c10::multiply_integers(shape);
}

int64_t Field::bytes() const {
  return elements() * int64_t(torch::elementSize(dtype));
}

int64_t Field::row_bytes() const {
  return variable ? bytes() / shape[0] : bytes();
}

int64_t Schema::sample_bytes() const {
  int64_t sum = 0;
  for (const Field& field : fields) sum += field.bytes();
  return sum;
}

bool Schema::has(std::string_view name) const {
  return std::any_of(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
}

const Field& Schema::operator[](std::string_view name) const {
  for (const Field& field : fields)
    if (field.name == name) return field;
  fail(Exit::data, "the data set has no field \"{}\"; its fields: {}", name,
       names(fields, [](const Field& f) { return f.name; }));
}

nlohmann::json to_json(const Schema& schema) {
  nlohmann::json fields = nlohmann::json::array();
  for (const Field& field : schema.fields) fields.push_back(field_to_json(field));
  return {{"fields", fields}};
}

Schema schema_from_json(const nlohmann::json& in) try {
  Schema schema;
  std::set<std::string> seen;
  for (const auto& each : list_at(in, "fields")) {
    schema.fields.push_back(field_from_json(each));
    require(seen.insert(schema.fields.back().name).second, Exit::data, "schema: field {} occurs twice",
            schema.fields.back().name);
  }
  require(!schema.fields.empty(), Exit::data, "schema: expected at least one field, found none");
  constexpr size_t kMostFields = 4096;
  require(schema.fields.size() <= kMostFields, Exit::data, "schema: expected at most {} fields, found {}",
          kMostFields, schema.fields.size());
  return schema;
} catch (const Error& error) {
  const std::string what = error.what();
  fail(error.kind, "{}{}", what.starts_with("schema: ") ? "" : "schema: malformed: ", what);
}

std::string describe(const Schema& schema) {
  return names(schema.fields, [](const Field& field) { return describe(field); });
}

torch::Tensor empty_rows(const Field& field, int64_t rows) {
  std::vector<int64_t> shape{rows};
  shape.insert(shape.end(), field.shape.begin(), field.shape.end());
  return torch::empty(shape, field.dtype);
}

bool Batch::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& f) { return f.first == name; });
}

const torch::Tensor& Batch::operator[](std::string_view name) const {
  for (const auto& [known, tensor] : fields_)
    if (known == name) return tensor;
  fail(Exit::bug, "the batch has no field \"{}\"; its fields: {}", name,
       names(fields_, [](const auto& f) { return f.first; }));
}

void Batch::set(const std::string& name, torch::Tensor value) {
  for (auto& [known, tensor] : fields_)
    if (known == name) return void(tensor = std::move(value));
  fields_.emplace_back(name, std::move(value));
}

}  // namespace saddle
