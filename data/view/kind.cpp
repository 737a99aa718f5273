#include "data/view/kind.h"

namespace saddle {
namespace {

// Pictures are uint8 or uint16 or floats; other integers, and classes, are labels of places.
bool is_map(const Field& field) {
  const bool values = field.dtype == torch::kByte || field.dtype == torch::kUInt16;
  return field.shape[0] == 1 && !field.variable && !torch::isFloatingType(field.dtype) &&
         (field.classes > 0 || !values || field.name.starts_with("mask"));
}

// Frames have few channels; no volume is so thin.
bool is_video(const Field& field) {
  return field.variable || field.shape[1] <= 4;
}

}  // namespace

Kind kind_of(const Field& field) {
  const size_t extents = field.shape.size();
  if (extents == 3) return is_map(field) ? Kind::label_map : Kind::picture;
  if (extents == 4 && is_video(field)) return Kind::video;
  if (extents == 4) return is_map(field) ? Kind::map_volume : Kind::volume;
  if (extents == 0 && field.classes > 0) return Kind::label;
  if (extents == 1 && field.classes > 0) return Kind::tokens;
  if (extents == 1 && torch::isFloatingType(field.dtype) && field.shape[0] >= 2) return Kind::points;
  return Kind::numbers;
}

bool is_pictorial(Kind kind) {
  return kind <= Kind::video;
}

std::string class_name(const Field& field, int64_t label) {
  return field.class_names.empty() ? std::to_string(label) : field.class_names.at(size_t(label));
}

}  // namespace saddle
