#include "data/pack/arrays/arrays.h"

#include <sys/stat.h>

#include <algorithm>

#include "data/check/account.h"
#include "data/pack/arrays/array_fields.h"
#include "data/pack/files/room.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

void check_flags(const std::vector<ArrayColumn>& columns, const PackRequest& request) {
  const Array& main = columns.front().array;
  require(request.axes == "auto" || request.axes == "NHW" || request.axes == "NCHW" ||
              request.axes == "NHWC" || request.axes == "none",
          Exit::usage, "--axes: expected auto, NHW, NCHW, NHWC or none, found {}", request.axes);
  const bool pictures = columns.front().role == ArrayRole::picture;
  require(!pictures || (request.axes == "NHW") == (main.shape.size() == 3) || request.axes == "auto",
          Exit::usage, "--axes {}: {} is {}", request.axes, main.where, describe(main));
  if (pictures) return;
  for (const char* flag : {"axes", "size", "channels", "bits", "filter", "crop", "background", "range"})
    require(
        !request.was_given(flag) || (flag == std::string("axes") && request.axes == "none"), Exit::usage,
        "--{}: {} holds no pictures, which are [N, H, W], [N, C, H, W] or [N, H, W, C]; its first array is "
        "{}",
        flag, request.source, describe(main));
}

void check_items(const Array& array, int64_t most) {
  double bytes = double(array.element.bytes);
  for (size_t axis = 1; axis < array.shape.size(); ++axis) bytes *= double(array.shape[axis]);
  require_room(array.where, fmt::format("items of {}", describe(array)), bytes, most);
}

Source combine(const std::vector<ArrayField>& fields, int64_t count) {
  Source source{.count = count};
  for (const ArrayField& each : fields) {
    source.schema.fields.push_back(each.field);
    source.serial |= each.serial;
    if (each.label) source.label = each.label;
  }
  source.sample = [fields](int64_t i) {
    Batch out;
    for (const ArrayField& each : fields) out.set(each.field.name, each.read(i));
    return out;
  };
  return source;
}

}  // namespace

bool is_empty(const std::vector<int64_t>& shape) {
  return std::find(shape.begin(), shape.end(), 0) != shape.end();
}

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

Source source_of(std::vector<Array> arrays, const PackRequest& request, std::vector<std::string> notes) {
  const std::vector<ArrayColumn> columns = columns_of(std::move(arrays), request, notes);
  check_flags(columns, request);
  for (const ArrayColumn& column : columns) check_items(column.array, request.most_bytes());
  std::vector<ArrayField> fields;
  for (const ArrayColumn& column : columns)
    fields.push_back(field_of(column, request, fields.empty(), notes));
  Source source = combine(fields, columns.front().array.shape[0]);
  source.notes = std::move(notes);
  return source;
}

std::string left_out_note(const std::string& name, const std::string& why) {
  return fmt::format("{}{}: {}", kLeftOutNote, to_utf8(name), why);
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

}  // namespace saddle
