#include "data/pack/array_fields.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <optional>

#include "data/pack/room.h"
#include "data/pack/values.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

constexpr int64_t kMostClasses = 1 << 20;

// --- What is stored ---

torch::ScalarType stored_dtype(const Element& element) {
  struct Row {
    char kind;
    int64_t bytes;
    torch::ScalarType dtype;
  };
  static constexpr std::array<Row, 12> kRows{{{'u', 1, torch::kByte},
                                              {'u', 2, torch::kUInt16},
                                              {'u', 4, torch::kUInt32},
                                              {'u', 8, torch::kUInt64},
                                              {'i', 1, torch::kChar},
                                              {'i', 2, torch::kShort},
                                              {'i', 4, torch::kInt},
                                              {'i', 8, torch::kLong},
                                              {'f', 2, torch::kHalf},
                                              {'f', 4, torch::kFloat},
                                              {'f', 8, torch::kDouble},
                                              {'b', 1, torch::kByte}}};
  for (const Row& row : kRows)
    if (row.kind == element.kind && row.bytes == element.bytes) return row.dtype;
  fail(Exit::bug, "no dtype for elements {}{}", element.kind, element.bytes);
}

// Fields know no unsigned numbers but those of pictures, and no bools: what holds all their values.
torch::ScalarType field_dtype(const Element& element) {
  if (element.kind == 'b') return torch::kShort;
  if (element.kind == 'u' && element.bytes == 2) return torch::kInt;
  if (element.kind == 'u' && element.bytes > 2) return torch::kLong;
  return stored_dtype(element);
}

void swap_bytes(char* data, int64_t count, int64_t bytes) {
  for (int64_t i = 0; i < count; ++i) std::reverse(data + i * bytes, data + (i + 1) * bytes);
}

// Items [first, first + count) in the dtype in which they are stored, [count, ...].
torch::Tensor items(const Array& array, int64_t first, int64_t count) {
  std::vector<int64_t> shape = array.shape;
  shape[0] = count;
  torch::Tensor out = torch::empty(shape, stored_dtype(array.element));
  char* to = static_cast<char*>(out.data_ptr());
  array.read(first, count, to);
  if (array.element.swapped) swap_bytes(to, out.numel(), array.element.bytes);
  return out;
}

// The same numbers in another dtype; Exit::data if one does not fit.
torch::Tensor converted(const ArrayColumn& column, const torch::Tensor& stored, torch::ScalarType dtype) {
  torch::Tensor out = stored.to(dtype);
  if (column.array.element.kind == 'u' && column.array.element.bytes == 8)
    require((out >= 0).all().item<bool>(), Exit::data, "{}: holds numbers above 2^63, which int64 cannot",
            column.array.where);
  if (torch::isFloatingType(dtype))
    require(torch::isfinite(out).all().item<bool>(), Exit::data, "{}: holds numbers that are not finite{}",
            column.array.where, dtype == torch::kFloat ? " as float32" : "");
  return out;
}

// --- Values ---

// Bools as integers, and the rest in the widest type of its kind.
torch::Tensor wide(const ArrayColumn& column, const torch::Tensor& stored) {
  return converted(column, stored, is_integer(column.array) ? torch::kLong : torch::kDouble);
}

// Of all items, or as far as it takes to see a value above `enough`. What is damaged is found again when it
// is packed.
ValueRange range_of(const ArrayColumn& column, double enough) {
  const Array& array = column.array;
  const int64_t item = c10::multiply_integers(array.shape) / array.shape[0] * array.element.bytes;
  const int64_t most = std::max<int64_t>(1, (1 << 20) / item);
  ValueRange found{.low = INFINITY, .high = -INFINITY};
  for (int64_t first = 0; first < array.shape[0] && found.high <= enough; first += most) try {
      const torch::Tensor stored = items(array, first, std::min(most, array.shape[0] - first));
      const torch::Tensor values = (is_integer(array) ? wide(column, stored) : stored).to(torch::kDouble);
      const double* all = values.const_data_ptr<double>();
      for (int64_t i = 0; i < values.numel(); ++i)
        if (std::isfinite(all[i]))
          found.low = std::min(found.low, all[i]), found.high = std::max(found.high, all[i]);
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      break;
    }
  return found;
}

[[noreturn]] void refuse(const ArrayColumn& column, ValueRange found, const char* expected) {
  fail(Exit::usage,
       "{}: expected values of {}, found {:g} to {:g}; pass --range LOW:HIGH, the values that become black "
       "and white{}",
       column.array.where, expected, found.low, found.high,
       found.low < found.high ? fmt::format(", such as --range {:g}:{:g}", found.low, found.high) : "");
}

// What scales the pictures; nothing where the bytes are the pixels.
std::optional<ValueRange> range_for(const ArrayColumn& column, const PackRequest& request, bool main) {
  constexpr ValueRange kBytes{0, 255}, kFloats{-1, 1};
  constexpr double kTwelveBits = 4095, kAll = INFINITY;
  const Element& element = column.array.element;
  if (element.kind == 'b' || !main) return {};
  if (!request.range.empty()) {
    const ValueRange range = parse_range(request.range);
    const bool pixels =
        element.kind == 'u' && element.bytes == 1 && range.low == kBytes.low && range.high == kBytes.high;
    return pixels ? std::nullopt : std::optional(range);
  }
  if (is_bytes(column.array)) {
    const double least = element.bytes == 1 ? 1 : kTwelveBits;
    const ValueRange found = range_of(column, least);
    if (found.high > 0 && found.high <= least)
      refuse(column, found, element.bytes == 1 ? "0 to 255" : "0 to 65535");
    return {};
  }
  const ValueRange found = range_of(column, kAll);
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

// Says once that values were cut off.
class Scale {
 public:
  Scale(ArrayColumn column, ValueRange range) : column_(std::move(column)), range_(range) {}

  torch::Tensor operator()(const torch::Tensor& stored) const {
    const torch::Tensor values = wide(column_, stored);
    const auto low = values.min().item<double>(), high = values.max().item<double>();
    if ((low < range_.low || high > range_.high) && !said_->exchange(true))
      log::warn("{}: values beyond --range {:g}:{:g} become black or white; found {:g} to {:g} in a sample",
                column_.array.where, range_.low, range_.high, low, high);
    return scaled(values, range_);
  }

 private:
  ArrayColumn column_;
  ValueRange range_;
  std::shared_ptr<std::atomic<bool>> said_ = std::make_shared<std::atomic<bool>>(false);
};

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
ArrayField picture_field(const ArrayColumn& column, const PackRequest& request, bool main) {
  const Array& array = column.array;
  const Layout layout = layout_of(array, request.axes);
  const bool colours = is_depth_of_colour(layout.channels);
  require(colours || (!request.size && !request.channels && !request.bits), Exit::usage,
          "{}: pictures of {} channels are packed as they are, without --size, --channels or --bits",
          array.where, layout.channels);
  const std::optional<ValueRange> range = range_for(column, request, main);
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
  const std::optional<Scale> scale = range ? std::optional(Scale(column, *range)) : std::nullopt;
  const bool boolean = array.element.kind == 'b';
  return {.field = image_field(column.name, how.channels, how.size, how.bits),
          .read =
              [=](int64_t i) {
                torch::Tensor item = items(array, i, 1)[0];
                if (scale) item = (*scale)(item);
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
                torch::Tensor map = layout.planes(converted(column, items(array, i, 1), torch::kLong)[0]);
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

// --- Labels and the rest ---

// All of them, since their classes must be known: 4 bytes a sample.
std::shared_ptr<std::vector<int32_t>> read_labels(const ArrayColumn& column, int64_t most) {
  constexpr int64_t kBlock = 4096;
  const Array& array = column.array;
  auto labels = std::make_shared<std::vector<int32_t>>();  // grows as they are found, not as they are claimed
  for (int64_t first = 0; first < array.shape[0]; first += kBlock) {
    const int64_t count = std::min(kBlock, array.shape[0] - first);
    const torch::Tensor block = converted(column, items(array, first, count), torch::kLong).flatten();
    const int64_t* values = block.data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i) {
      require(values[i] >= 0 && values[i] < kMostClasses, Exit::data,
              "{}: expected labels from 0 to {}, found {} at {}", array.where, kMostClasses - 1, values[i],
              first + i);
      labels->push_back(int32_t(values[i]));
    }
    require_room(array.where, fmt::format("{} labels", array.shape[0]),
                 double(labels->size() * sizeof(int32_t)), most);
  }
  return labels;
}

ArrayField label_field_of(const ArrayColumn& column, int64_t most) {
  const auto labels = read_labels(column, most);
  const int64_t classes = int64_t{*std::max_element(labels->begin(), labels->end())} + 1;
  const auto label = [labels](int64_t i) { return int64_t{(*labels)[size_t(i)]}; };
  return {.field = label_field(classes, {}),
          .read = [label](int64_t i) { return torch::tensor({label(i)}); },
          .label = label};
}

ArrayField other_field(const ArrayColumn& column) {
  std::vector<int64_t> shape(column.array.shape.begin() + 1, column.array.shape.end());
  if (column.role == ArrayRole::features && shape.empty()) shape = {1};
  const auto dtype = column.role == ArrayRole::features ? torch::kFloat : field_dtype(column.array.element);
  std::vector<int64_t> sizes{1};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return {
      .field = {.name = column.name, .shape = shape, .dtype = dtype, .class_names = {}},
      .read = [=](int64_t i) { return converted(column, items(column.array, i, 1), dtype).reshape(sizes); },
      .serial = column.array.serial};
}

}  // namespace

ArrayField field_of(const ArrayColumn& column, const PackRequest& request, bool main) {
  switch (column.role) {
    case ArrayRole::picture:
      return picture_field(column, request, main);
    case ArrayRole::map:
      return map_field(column, request);
    case ArrayRole::label:
      return label_field_of(column, request.most_bytes());
    default:
      return other_field(column);
  }
}

}  // namespace saddle
