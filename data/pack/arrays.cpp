#include "data/pack/arrays.h"

#include <ATen/ops/isfinite.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>

#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostClasses = 1 << 20;

enum class Role { picture, features, label, other };  // in the order of the schema

struct Column {
  Array array;
  Role role = Role::other;
  std::string name = {};  // of the field
};

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

std::string describe(const Array& array) {
  const char* kind = array.element.kind == 'u'   ? "uint"
                     : array.element.kind == 'i' ? "int"
                     : array.element.kind == 'f' ? "float"
                                                 : "bool";
  return fmt::format("{}{} [{}]", kind, array.element.bytes * 8, fmt::join(array.shape, ", "));
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
torch::Tensor converted(const Column& column, const torch::Tensor& stored, torch::ScalarType dtype) {
  torch::Tensor out = stored.to(dtype);
  if (column.array.element.kind == 'u' && column.array.element.bytes == 8)
    require((out >= 0).all().item<bool>(), Exit::data, "{}: holds numbers above 2^63, which int64 cannot",
            column.array.where);
  if (torch::isFloatingType(dtype))
    require(torch::isfinite(out).all().item<bool>(), Exit::data, "{}: holds numbers that are not finite{}",
            column.array.where, dtype == torch::kFloat ? " as float32" : "");
  return out;
}

// --- What it means ---

bool is_integer(const Array& array) {
  return array.element.kind != 'f';
}

bool is_label(const Array& array) {
  const auto& shape = array.shape;
  return is_integer(array) && (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1));
}

bool is_features(const Array& array) {
  return array.element.kind == 'f' && array.shape.size() == 2;
}

bool is_pictures(const Array& array) {
  const bool unsigned_or_bool =
      (array.element.kind == 'u' && array.element.bytes <= 2) || array.element.kind == 'b';
  return unsigned_or_bool && (array.shape.size() == 3 || array.shape.size() == 4);
}

// The first array, by the order of `names`, that is named so and `fits`; else, with `or_only`, the only one
// that fits; else none.
Column* pick(std::vector<Column>& columns, const std::vector<std::string>& names, bool (*fits)(const Array&),
             bool or_only) {
  for (const std::string& name : names)
    for (Column& column : columns)
      if (column.name == name && fits(column.array)) return &column;
  const auto also = [&](const Column& column) { return fits(column.array); };
  if (!or_only || std::count_if(columns.begin(), columns.end(), also) != 1) return nullptr;
  return &*std::find_if(columns.begin(), columns.end(), also);
}

void assign(Column* column, Role role, const std::string& name) {
  if (column) column->role = role, column->name = name;
}

// Letters, digits and a few signs: a field's name is a path in HDF5 and a text in JSON.
std::string clean(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '_';
  if (name.empty() || name[0] == '.') name.insert(0, "_");
  return name;
}

// "train_images" and "x_train" are "images" and "x" of the part "train".
struct Marked {
  std::string part, rest;
};

std::optional<Marked> marked(const std::string& name) {
  static const std::map<std::string, std::string> kParts{{"train", "train"},
                                                         {"test", "test"},
                                                         {"val", "validation"},
                                                         {"valid", "validation"},
                                                         {"validation", "validation"}};
  for (const auto& [mark, part] : kParts) {
    if (name.starts_with(mark + "_")) return Marked{part, name.substr(mark.size() + 1)};
    if (name.ends_with("_" + mark)) return Marked{part, name.substr(0, name.size() - mark.size() - 1)};
  }
  return {};
}

// Leaves out the parts that are not asked for, and takes the marks off the others.
void choose_part(std::vector<Column>& columns, const PackRequest& request) {
  std::string parts;
  bool found = false;
  const std::string wanted =
      request.split == "val" || request.split == "valid" ? "validation" : request.split;
  for (const Column& column : columns)
    if (const auto mark = marked(column.name)) {
      found |= mark->part == wanted;
      if (parts.find(mark->part) == std::string::npos) parts += (parts.empty() ? "" : ", ") + mark->part;
    }
  require(found || (parts.empty() && !request.was_given("split")), Exit::usage,
          "{}: has no part {}; its parts: {}", request.source, request.split, parts.empty() ? "none" : parts);
  std::erase_if(columns, [&](Column& column) {
    const auto mark = marked(column.name);
    if (!mark) return false;
    column.name = mark->rest;
    return mark->part != wanted;
  });
}

void name_columns(std::vector<Column>& columns) {
  static const std::vector<std::string> kPictures{"image", "images", "imgs",     "img",  "x",
                                                  "X",     "arr_0",  "pictures", "data", "features"};
  static const std::vector<std::string> kLabels{"label", "labels", "y", "Y", "target", "targets"};
  static const std::vector<std::string> kFeatures{"x", "X", "features", "data", "arr_0"};
  assign(pick(columns, kLabels, is_label, false), Role::label, "label");
  assign(pick(columns, kPictures, is_pictures, true), Role::picture, "image");
  std::vector<std::string> only = kFeatures;
  if (std::count_if(columns.begin(), columns.end(), [](auto& c) { return is_features(c.array); }) > 1)
    only = {"x", "X"};
  assign(pick(columns, only, is_features, true), Role::features, "x");
  std::stable_sort(columns.begin(), columns.end(),
                   [](const Column& a, const Column& b) { return a.role < b.role; });
}

// Arrays of another length are no fields; but labels of another length are a mistake.
void keep_equal_lengths(std::vector<Column>& columns) {
  const auto at = std::find_if(columns.begin(), columns.end(), [](auto& c) { return c.role != Role::label; });
  const Array main = (at == columns.end() ? columns.front() : *at).array;
  std::erase_if(columns, [&](const Column& column) {
    if (column.array.shape[0] == main.shape[0]) return false;
    require(column.role != Role::label, Exit::data,
            "{}: expected {} labels, one for each item of {}, found {}", column.array.where, main.shape[0],
            main.where, column.array.shape[0]);
    log::warn("{}: left out, its length is {}, not {} as of {}", column.array.where, column.array.shape[0],
              main.shape[0], main.where);
    return true;
  });
}

void check_names(const std::vector<Column>& columns) {
  std::map<std::string, std::string> seen;
  for (const Column& column : columns) {
    const auto [before, fresh] = seen.emplace(column.name, column.array.where);
    require(fresh, Exit::data, "{} and {}: two arrays would be the field {}; rename one", before->second,
            column.array.where, column.name);
    require(column.name != "label" || column.role == Role::label, Exit::data,
            "{}: expected integers [N], found {}; call the array otherwise if it holds no classes",
            column.array.where, describe(column.array));
  }
}

// --- Fields ---

using Read = std::function<torch::Tensor(int64_t)>;  // sample i of one field, [1, ...]

struct Reader {
  Field field;
  Read read;
  bool serial = false;
  std::function<int64_t(int64_t)> label = {};
};

bool is_depth_of_colour(int64_t extent) {
  return extent == 1 || extent == 3 || extent == 4;
}

// Whether pictures [N, H, W, C] (else [N, C, H, W]).
bool channels_last(const Array& array, const std::string& axes) {
  require(axes == "auto" || axes == "NCHW" || axes == "NHWC", Exit::usage,
          "--axes: expected auto, NCHW or NHWC, found {}", axes);
  if (axes != "auto") return axes == "NHWC";
  const bool first = is_depth_of_colour(array.shape[1]), last = is_depth_of_colour(array.shape[3]);
  require(first != last, Exit::usage,
          "{}: cannot tell which axis of [{}] is the channels; pass --axes NCHW or --axes NHWC", array.where,
          fmt::join(array.shape, ", "));
  return last;
}

// Pictures of 1, 3 or 4 channels go through `fit`, others are taken as they are.
Reader picture_reader(const Column& column, const PackRequest& request) {
  const Array& array = column.array;
  const bool grey = array.shape.size() == 3, last = !grey && channels_last(array, request.axes);
  const int64_t channels = grey ? 1 : array.shape[last ? 3 : 1];
  const ImageSize size = last ? ImageSize{array.shape[1], array.shape[2]}
                              : ImageSize{array.shape[grey ? 1 : 2], array.shape[grey ? 2 : 3]};
  const bool colours = is_depth_of_colour(channels);
  require(colours || (!request.size && !request.channels && !request.bits), Exit::usage,
          "{}: pictures of {} channels are packed as they are, without --size, --channels or --bits",
          array.where, channels);
  const Fit how{.channels = request.channels ? request.channels : channels,
                .size = request.size.value_or(size),
                .bits = request.bits ? request.bits : array.element.bytes * 8,
                .filter = request.filter,
                .crop = request.crop,
                .background = parse_colour(request.background)};
  const bool boolean = array.element.kind == 'b';
  return {.field = image_field(column.name, how.channels, how.size, how.bits),
          .read =
              [=](int64_t i) {
                torch::Tensor picture = items(array, i, 1)[0];
                if (grey) picture = picture.unsqueeze(0);
                if (last) picture = picture.permute({2, 0, 1}).contiguous();
                if (boolean) picture = picture * 255;
                return (colours ? fit(picture, how) : picture).contiguous().unsqueeze(0);
              },
          .serial = array.serial};
}

// All of them, since their classes must be known: 4 bytes a sample.
std::shared_ptr<std::vector<int32_t>> read_labels(const Column& column) {
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
  }
  return labels;
}

Reader label_reader(const Column& column) {
  const auto labels = read_labels(column);
  const int64_t classes = int64_t{*std::max_element(labels->begin(), labels->end())} + 1;
  const auto label = [labels](int64_t i) { return int64_t{(*labels)[size_t(i)]}; };
  return {.field = label_field(classes, {}),
          .read = [label](int64_t i) { return torch::tensor({label(i)}); },
          .label = label};
}

Reader other_reader(const Column& column) {
  const auto& shape = column.array.shape;
  const auto dtype = column.role == Role::features ? torch::kFloat : field_dtype(column.array.element);
  return {.field = {.name = column.name,
                    .shape = {shape.begin() + 1, shape.end()},
                    .dtype = dtype,
                    .class_names = {}},
          .read = [=](int64_t i) { return converted(column, items(column.array, i, 1), dtype); },
          .serial = column.array.serial};
}

Reader reader_of(const Column& column, const PackRequest& request) {
  if (column.role == Role::picture) return picture_reader(column, request);
  return column.role == Role::label ? label_reader(column) : other_reader(column);
}

void refuse_flags_of_pictures(const std::vector<Column>& columns, const PackRequest& request) {
  if (columns.front().role == Role::picture) return;
  for (const char* flag : {"axes", "size", "channels", "bits", "filter", "crop", "background"})
    require(!request.was_given(flag), Exit::usage,
            "--{}: {} holds no pictures, which are uint8 or uint16 [N, H, W] "
            "or [N, C, H, W]; its first array is {}",
            flag, request.source, describe(columns.front().array));
}

Source combine(const std::vector<Reader>& readers, int64_t count) {
  Source source{.count = count};
  for (const Reader& reader : readers) {
    source.schema.fields.push_back(reader.field);
    source.serial |= reader.serial;
    if (reader.label) source.label = reader.label;
  }
  source.sample = [readers](int64_t i) {
    Batch out;
    for (const Reader& reader : readers) out.set(reader.field.name, reader.read(i));
    return out;
  };
  return source;
}

}  // namespace

std::optional<Element> element_of(std::string_view descr) {
  if (descr.size() != 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) return {};
  const char kind = descr[1], bytes = char(descr[2] - '0');
  const std::string_view sizes = kind == 'u' || kind == 'i' ? "1248"
                                 : kind == 'f'              ? "248"
                                 : kind == 'b'              ? "1"
                                                            : "";
  if (sizes.find(descr[2]) == std::string_view::npos) return {};
  return Element{.kind = kind, .bytes = bytes, .swapped = descr[0] == '>' && bytes > 1};
}

int64_t checked_bytes(const std::vector<int64_t>& shape, int64_t element_bytes, int64_t most,
                      const std::string& where) {
  int64_t bytes = element_bytes;
  bool over = false;
  for (int64_t extent : shape) {
    require(extent > 0, Exit::data, "{}: one of its extents is zero: [{}]", where, fmt::join(shape, ", "));
    over |= __builtin_mul_overflow(bytes, extent, &bytes);
  }
  require(!over && bytes <= most, Exit::data,
          "{}: damaged or cut off: [{}] of {} bytes each are more than it can hold", where,
          fmt::join(shape, ", "), element_bytes);
  return bytes;
}

int64_t most_inflated(int64_t bytes) {
  constexpr int64_t kRatio = 1032, kSlack = 64;  // zlib's technical details: "the limit is 1032:1"
  return std::min(bytes, INT64_MAX / kRatio / 2) * kRatio + kSlack;
}

Source source_of(std::vector<Array> arrays, const PackRequest& request) {
  std::vector<Column> columns;
  for (Array& array : arrays) {
    require(!array.shape.empty(), Exit::data, "{}: expected items along a first axis, found a single number",
            array.where);
    const std::string name = clean(array.name);
    columns.push_back({.array = std::move(array), .name = name});
  }
  choose_part(columns, request);
  require(!columns.empty(), Exit::data, "{}: expected arrays of numbers, found none", request.source);
  name_columns(columns);
  keep_equal_lengths(columns);
  check_names(columns);
  refuse_flags_of_pictures(columns, request);
  std::vector<Reader> readers;
  for (const Column& column : columns) readers.push_back(reader_of(column, request));
  return combine(readers, columns.front().array.shape[0]);
}

nlohmann::json provenance_of(const std::string& source, const std::vector<fs::path>& files) {
  int64_t bytes = 0, newest = 0;
  for (const fs::path& file : files) {
    struct stat found {};
    require(stat(file.c_str(), &found) == 0, Exit::data, "{}: cannot open", file.string());
    bytes += found.st_size, newest = std::max<int64_t>(newest, found.st_mtime);
  }
  return {{"source", fs::absolute(source).lexically_normal().string()},
          {"files", files.size()},
          {"bytes", bytes},
          {"newest", newest}};
}

std::string to_utf8(std::string_view text) {
  std::string checked(text);
  if (nlohmann::json(checked).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore) ==
      nlohmann::json(checked).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
    return checked;
  std::string out;
  for (const unsigned char c : text) {
    if (c < 0x80)
      out += char(c);
    else
      out += char(0xC0 | c >> 6), out += char(0x80 | (c & 0x3F));
  }
  return out;
}

}  // namespace saddle
