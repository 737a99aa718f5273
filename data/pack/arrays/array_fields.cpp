#include "data/pack/arrays/array_fields.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/pack/arrays/array_labels.h"
#include "data/pack/arrays/array_values.h"
#include "dist/error.h"

namespace saddle {
namespace {

// Fields know no unsigned numbers but those of pictures, and no bools: what holds all their values.
torch::ScalarType field_dtype(const Element& element) {
  if (element.kind == 'b') return torch::kShort;
  if (element.kind == 'u' && element.bytes == 2) return torch::kInt;
  if (element.kind == 'u' && element.bytes > 2) return torch::kLong;
  return stored_dtype(element);
}

// --- Values ---

[[noreturn]] void refuse(const ArrayColumn& column, ValueRange found, const char* expected) {
  fail(Exit::usage,
       "{}: expected values of {}, found {:g} to {:g}; pass --range LOW:HIGH, the values that become black "
       "and white{}",
       column.array.where, expected, found.low, found.high,
       found.low < found.high ? ", such as --range " + to_text(usual_range(found)) : "");
}

// What of --range the data use, where it is but a little or not enough.
void note_use(const ArrayColumn& column, ValueRange range, std::vector<std::string>& notes) {
  constexpr double kLittle = 0.02;
  const ValueRange found = range_of(column.array, INFINITY);
  if (found.low > found.high) return;  // all is damaged
  const std::string values =
      fmt::format("{}: its values are {:g} to {:g}", column.name, found.low, found.high);
  if (found.low < range.low || found.high > range.high)
    notes.push_back(fmt::format("{}: those beyond --range {} become black or white", values, to_text(range)));
  const double used = std::min(found.high, range.high) - std::max(found.low, range.low);
  if (used < kLittle * (range.high - range.low))
    notes.push_back(
        fmt::format("{}: of --range {} they use less than {:g} %, so all pictures are nearly of one grey{}",
                    values, to_text(range), kLittle * 100,
                    found.low < found.high ? "; see --range " + to_text(usual_range(found)) : ""));
}

// What scales the pictures; nothing where the bytes are the pixels.
std::optional<ValueRange> range_for(const ArrayColumn& column, const PackRequest& request, bool main,
                                    std::vector<std::string>& notes) {
  constexpr ValueRange kBytes{0, 255}, kFloats{-1, 1};
  constexpr double kTwelveBits = 4095, kAll = INFINITY;
  const Element& element = column.array.element;
  if (element.kind == 'b' || !main) return {};
  if (!request.range.empty()) {
    const ValueRange range = parse_range(request.range);
    note_use(column, range, notes);
    const bool pixels =
        element.kind == 'u' && element.bytes == 1 && range.low == kBytes.low && range.high == kBytes.high;
    return pixels ? std::nullopt : std::optional(range);
  }
  if (is_bytes(column.array)) {
    const double least = element.bytes == 1 ? 1 : kTwelveBits;
    const ValueRange found = range_of(column.array, least);
    if (found.high > 0 && found.high <= least)
      refuse(column, found, element.bytes == 1 ? "0 to 255" : "0 to 65535");
    return {};
  }
  const ValueRange found = range_of(column.array, kAll);
  if (found.low > found.high) return is_integer(column.array) ? kBytes : kFloats;  // all is damaged
  if (is_integer(column.array)) {
    if (found.low < kBytes.low || found.high > kBytes.high || found.high <= 1)
      refuse(column, found, "0 to 255");
    return kBytes;
  }
  if (found.low < kFloats.low || found.high > kFloats.high || found.low > kFloats.low / 2 ||
      found.high < kFloats.high / 2)
    refuse(column, found, "-1 to 1");
  return kFloats;
}

// --- Pictures and maps ---

bool is_depth_of_colour(int64_t extent) {
  return extent == 1 || extent == 3 || extent == 4;
}

// Where channels, height and width are; of grey pictures [N, H, W] there is no axis of channels.
struct Layout {
  bool grey = false, last = false;  // no axis of channels; it is the last
  int64_t channels = 1;
  ImageSize size;

  torch::Tensor planes(torch::Tensor item) const {  // [C, H, W] of one without its first axis
    if (grey) item = item.unsqueeze(0);
    return last ? item.permute({2, 0, 1}).contiguous() : item;
  }
};

// Whether pictures [N, H, W, C] (else [N, C, H, W]).
bool channels_last(const Array& array, const std::string& axes) {
  if (axes == "NCHW" || axes == "NHWC") return axes == "NHWC";
  const bool first = is_depth_of_colour(array.shape[1]), last = is_depth_of_colour(array.shape[3]);
  require(first != last && axes == "auto", Exit::usage,
          "{}: cannot tell which axis of [{}] is the channels; pass --axes NCHW or --axes NHWC, or --axes "
          "none if "
          "they are no pictures",
          array.where, fmt::join(array.shape, ", "));
  return last;
}

Layout layout_of(const Array& array, const std::string& axes) {
  Layout out{.grey = array.shape.size() == 3, .size = {}};
  out.last = !out.grey && channels_last(array, axes);
  out.channels = out.grey ? 1 : array.shape[out.last ? 3 : 1];
  const size_t height = out.grey || out.last ? 1 : 2;
  out.size = {array.shape[height], array.shape[height + 1]};
  return out;
}

// Pictures of 1, 3 or 4 channels go through `fit`, others are taken as they are.
ArrayField picture_field(const ArrayColumn& column, const PackRequest& request, bool main,
                         std::vector<std::string>& notes) {
  const Array& array = column.array;
  const Layout layout = layout_of(array, request.axes);
  const bool colours = is_depth_of_colour(layout.channels);
  require(colours || (!request.size && !request.channels && !request.bits), Exit::usage,
          "{}: pictures of {} channels are packed as they are, without --size, --channels or --bits",
          array.where, layout.channels);
  const std::optional<ValueRange> range = range_for(column, request, main, notes);
  // Of integers in a range of bytes, bytes hold every value.
  const bool narrow = range && is_integer(array) && range->high - range->low <= 255;
  const int64_t stored = range ? 16 : array.element.bytes * 8;
  const Fit how{.channels = request.channels ? request.channels : layout.channels,
                .size = request.size.value_or(layout.size),
                .bits = request.bits        ? request.bits
                        : narrow && colours ? 8
                                            : stored,
                .filter = request.filter,
                .crop = request.crop,
                .background = parse_colour(request.background)};
  const bool boolean = array.element.kind == 'b';
  return {.field = image_field(column.name, how.channels, how.size, how.bits),
          .read =
              [=](int64_t i) {
                torch::Tensor item = items(array, i, 1)[0];
                if (range) item = scaled(wide(array, item.unsqueeze(0), i)[0], *range);
                if (boolean) item = item * 255;
                const torch::Tensor picture = layout.planes(item);
                return (colours ? fit(picture, how) : picture).contiguous().unsqueeze(0);
              },
          .serial = array.serial};
}

torch::ScalarType map_dtype(const Element& element) {
  if (element.kind == 'b' || (element.kind == 'u' && element.bytes == 1)) return torch::kByte;
  return element.bytes == 1 || (element.kind == 'i' && element.bytes == 2) ? torch::kShort : torch::kInt;
}

// Label maps are cut and resized as the pictures are, but to the nearest pixel.
ArrayField map_field(const ArrayColumn& column, const PackRequest& request) {
  const Array& array = column.array;
  const bool last = array.shape.size() == 4 && array.shape[1] != 1;
  const Layout layout = layout_of(array, last ? "NHWC" : "NCHW");
  const Fit how{.channels = 1,
                .size = request.size.value_or(layout.size),
                .bits = 16,
                .filter = "nearest",
                .crop = request.crop};
  const auto dtype = map_dtype(array.element);
  const double most = dtype == torch::kByte ? 255 : dtype == torch::kShort ? INT16_MAX : INT32_MAX;
  return {.field = {.name = column.name,
                    .shape = {1, how.size.height, how.size.width},
                    .dtype = dtype,
                    .class_names = {}},
          .read =
              [=](int64_t i) {
                torch::Tensor map = layout.planes(converted(array, items(array, i, 1), torch::kLong, i)[0]);
                const auto low = map.min().item<int64_t>(), high = map.max().item<int64_t>();
                const bool resized = how.size != layout.size;
                require(double(high) <= (resized ? std::min<double>(most, UINT16_MAX) : most) &&
                            double(low) >= (resized ? 0 : -most - 1),
                        Exit::data, "{}: sample {}: expected labels of {} bits, found {} to {}", array.where,
                        i, resized ? 16 : c10::elementSize(dtype) * 8, low, high);
                if (resized) map = fit(map.to(torch::kUInt16), how).to(torch::kLong);
                return map.to(dtype).contiguous().unsqueeze(0);
              },
          .serial = array.serial};
}

// --- The rest ---

ArrayField other_field(const ArrayColumn& column) {
  std::vector<int64_t> shape(column.array.shape.begin() + 1, column.array.shape.end());
  if (column.role == ArrayRole::features && shape.empty()) shape = {1};
  const auto dtype = column.role == ArrayRole::features ? torch::kFloat : field_dtype(column.array.element);
  std::vector<int64_t> sizes{1};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return {.field = {.name = column.name, .shape = shape, .dtype = dtype, .class_names = {}},
          .read = [=, array = column.array](
                      int64_t i) { return converted(array, items(array, i, 1), dtype, i).reshape(sizes); },
          .serial = column.array.serial};
}

}  // namespace

ArrayField field_of(const ArrayColumn& column, const PackRequest& request, bool main,
                    std::vector<std::string>& notes) {
  switch (column.role) {
    case ArrayRole::picture:
      return picture_field(column, request, main, notes);
    case ArrayRole::map:
      return map_field(column, request);
    case ArrayRole::label:
      return label_field_of(column, request, notes);
    default:
      return other_field(column);
  }
}

}  // namespace saddle
