#include "data/pack/array_roles.h"

#include <algorithm>
#include <map>
#include <optional>

#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

using Names = std::vector<std::string>;

const Names kFeatures{"x", "X", "features", "data", "arr_0"};

bool is_label(const Array& array) {
  const auto& shape = array.shape;
  return is_integer(array) && (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1));
}

bool is_features(const Array& array) {
  return array.element.kind == 'f' && array.shape.size() == 2;
}

bool is_pictorial(const Array& array) {
  return array.shape.size() == 3 || array.shape.size() == 4;
}

bool is_byte_pictures(const Array& array) {
  return is_bytes(array) && is_pictorial(array);
}

bool is_map(const Array& array) {
  const auto& shape = array.shape;
  return is_integer(array) && (shape.size() == 3 || (shape.size() == 4 && (shape[1] == 1 || shape[3] == 1)));
}

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The first array without a role, by the order of `names`, that is named so and `fits`; else, with `or_only`,
// the only one that fits; else none.
template <class Fits>
ArrayColumn* pick(std::vector<ArrayColumn>& columns, const Names& names, Fits fits, bool or_only) {
  const auto free = [&](const ArrayColumn& column) {
    return column.role == ArrayRole::other && fits(column.array);
  };
  for (const std::string& name : names)
    for (ArrayColumn& column : columns)
      if (column.base == name && free(column)) return &column;
  if (!or_only || std::count_if(columns.begin(), columns.end(), free) != 1) return nullptr;
  return &*std::find_if(columns.begin(), columns.end(), free);
}

void assign(ArrayColumn* column, ArrayRole role, const std::string& name) {
  if (column) column->role = role, column->name = name;
}

// Letters, digits and a few signs: a field's name is a path in HDF5 and a text in JSON.
std::string clean(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '_';
  if (name.empty() || name[0] == '.') name.insert(0, "_");
  return name;
}

// --- Parts ---

// "train_images", "x_train" and "train/images" are "images" and "x" of the part "train".
struct Marked {
  std::string part, rest;
};

const std::map<std::string, std::string>& parts() {
  static const std::map<std::string, std::string> all{
      {"train", "train"},          {"training", "train"}, {"test", "test"},
      {"testing", "test"},         {"val", "validation"}, {"valid", "validation"},
      {"validation", "validation"}};
  return all;
}

std::optional<Marked> group_mark(const std::string& path) {
  for (const auto& [mark, part] : parts()) {
    const std::string framed = "/" + path + "/";
    const size_t at = framed.find("/" + mark + "/");
    if (at == std::string::npos) continue;
    const std::string before = framed.substr(0, at), after = framed.substr(at + mark.size() + 1);
    std::string rest = before + after;  // with a slash at both ends
    rest = rest.size() > 2 ? rest.substr(1, rest.size() - 2) : "";
    return Marked{part, rest.empty() ? "x" : rest};
  }
  return {};
}

std::optional<Marked> marked(const std::string& path) {
  if (const auto group = group_mark(path)) return group;
  const size_t slash = path.rfind('/') + 1;
  const std::string groups = path.substr(0, slash), name = path.substr(slash);
  for (const auto& [mark, part] : parts()) {
    if (name.starts_with(mark + "_")) return Marked{part, groups + name.substr(mark.size() + 1)};
    if (name.ends_with("_" + mark))
      return Marked{part, groups + name.substr(0, name.size() - mark.size() - 1)};
  }
  return {};
}

void set_name(ArrayColumn& column, const std::string& path) {
  column.name = clean(path), column.base = clean(path.substr(path.rfind('/') + 1));
}

// Leaves out the parts that are not asked for, and takes the marks off the others.
void choose_part(std::vector<ArrayColumn>& columns, const PackRequest& request) {
  std::string found_parts;
  bool found = false;
  const std::string wanted =
      request.split == "val" || request.split == "valid" ? "validation" : request.split;
  for (const ArrayColumn& column : columns)
    if (const auto mark = marked(column.array.name)) {
      found |= mark->part == wanted;
      if (found_parts.find(mark->part) == std::string::npos)
        found_parts += (found_parts.empty() ? "" : ", ") + mark->part;
    }
  require(found || (found_parts.empty() && !request.was_given("split")), Exit::usage,
          "{}: has no part {}; its parts: {}", request.source, request.split,
          found_parts.empty() ? "none" : found_parts);
  std::erase_if(columns, [&](ArrayColumn& column) {
    const auto mark = marked(column.array.name);
    set_name(column, mark ? mark->rest : column.array.name);
    return mark && mark->part != wanted;
  });
}

// --- Roles ---

// Numbers that are no bytes may be time series or volumes just as well.
void require_pictures(const ArrayColumn& column, const PackRequest& request) {
  static const Names kSure{"image", "images", "imgs", "img", "pictures"};
  const auto& shape = column.array.shape;
  require(request.axes != "auto" || is_bytes(column.array) || contains(kSure, column.base) ||
              shape.size() == 4 || shape[1] == shape[2],
          Exit::usage,
          "{}: cannot tell whether {} are grey pictures; pass --axes NHW, or --axes none if they are not",
          column.array.where, describe(column.array));
}

void find_maps(std::vector<ArrayColumn>& columns) {
  static const Names kMaps{"mask",       "masks",      "segmentation", "segmentations",
                           "seg",        "annotation", "annotations",  "label_map",
                           "label_maps", "labelmap",   "labelmaps",    "label",
                           "labels",     "target",     "targets",      "y",
                           "Y"};
  const auto other = [&](const ArrayColumn& column) {
    return is_pictorial(column.array) && !contains(kMaps, column.base);
  };
  if (std::none_of(columns.begin(), columns.end(), other)) return;  // then they are the pictures
  bool first = true;
  for (const std::string& name : kMaps)
    for (ArrayColumn& column : columns) {
      if (column.base != name || !is_map(column.array)) continue;
      assign(&column, ArrayRole::map, first ? "mask" : "mask_" + column.name);
      first = false;
    }
}

void find_pictures(std::vector<ArrayColumn>& columns, const PackRequest& request) {
  static const Names kPictures{"image", "images", "imgs",     "img",  "x",
                               "X",     "arr_0",  "pictures", "data", "features"};
  const Names numbers(kPictures.begin(), kPictures.end() - 1);  // features of a net are none
  ArrayColumn* main = pick(columns, kPictures, is_byte_pictures, true);
  const bool features =
      std::any_of(columns.begin(), columns.end(), [](auto& c) { return is_features(c.array); });
  if (!main) main = pick(columns, numbers, is_pictorial, /*or_only=*/!features);
  if (!main) return;
  require_pictures(*main, request);
  assign(main, ArrayRole::picture, "image");
  const auto& shape = main->array.shape;
  for (ArrayColumn& column : columns) {  // a second side of pairs, and the like
    const auto& own = column.array.shape;
    const bool colours = own.size() == 4 && (own[1] == 1 || own[1] == 3 || own[3] == 1 || own[3] == 3);
    const bool grey = own.size() == 3 && own[1] == shape[shape.size() == 3 || shape[1] > 4 ? 1 : 2];
    if (column.role == ArrayRole::other && is_bytes(column.array) && (colours || grey))
      column.role = ArrayRole::picture;
  }
}

void find_roles(std::vector<ArrayColumn>& columns, const PackRequest& request) {
  static const Names kLabels{"label", "labels", "y", "Y", "target", "targets"};
  Names features = kFeatures;
  if (std::count_if(columns.begin(), columns.end(), [](auto& c) { return is_features(c.array); }) > 1)
    features = {"x", "X"};
  assign(pick(columns, kLabels, is_label, false), ArrayRole::label, "label");
  if (request.axes != "none") find_maps(columns), find_pictures(columns, request);
  assign(pick(columns, features, is_features, true), ArrayRole::features, "x");
}

void drop_unreadable(std::vector<ArrayColumn>& columns) {
  std::erase_if(columns, [&](const ArrayColumn& column) {
    if (column.array.problem.empty()) return false;
    require(column.role == ArrayRole::other && columns.size() > 1, Exit::data, "{}: {}", column.array.where,
            column.array.problem);
    log::warn("{}: left out, {}", column.array.where, column.array.problem);
    return true;
  });
}

// --- The main one ---

// Numbers of one or two extents are features, whatever their type; bytes stay, as pixels do.
void take_as_features(ArrayColumn& main) {
  const size_t extents = main.array.shape.size();
  if (main.role == ArrayRole::other && extents <= 2 &&
      !(is_bytes(main.array) && main.array.element.kind == 'u'))
    assign(&main, ArrayRole::features, contains(kFeatures, main.base) ? "x" : main.name);
}

void put_main_first(std::vector<ArrayColumn>& columns, const PackRequest& request) {
  std::stable_sort(columns.begin(), columns.end(),
                   [](const ArrayColumn& a, const ArrayColumn& b) { return a.role < b.role; });
  const auto main = std::find_if(columns.begin(), columns.end(), [](const ArrayColumn& column) {
    return column.role != ArrayRole::label && !(is_integer(column.array) && column.array.shape.size() == 1);
  });
  require(main != columns.end(), Exit::data,
          "{}: expected pictures or numbers to train on, found only labels: {}", request.source,
          describe(columns.front().array));
  take_as_features(*main);
  std::rotate(columns.begin(), main, main + 1);
}

// Arrays of another length are no fields; but labels of another length are a mistake.
void keep_equal_lengths(std::vector<ArrayColumn>& columns) {
  const Array main = columns.front().array;
  std::erase_if(columns, [&](const ArrayColumn& column) {
    if (column.array.shape[0] == main.shape[0]) return false;
    require(column.role != ArrayRole::label, Exit::data,
            "{}: expected {} labels, one for each item of {}, found {}", column.array.where, main.shape[0],
            main.where, column.array.shape[0]);
    log::warn("{}: left out, its length is {}, not {} as of {}", column.array.where, column.array.shape[0],
              main.shape[0], main.where);
    return true;
  });
}

void require_distinct(const std::vector<ArrayColumn>& columns) {
  std::map<std::string, const ArrayColumn*> seen;
  for (const ArrayColumn& column : columns) {
    const auto [before, fresh] = seen.emplace(column.name, &column);
    require(fresh, Exit::data, "{}, {}, and {}, {}: two arrays would be the field {}; rename one",
            before->second->array.where, describe(before->second->array), column.array.where,
            describe(column.array), column.name);
  }
}

void check_names(const std::vector<ArrayColumn>& columns) {
  require_distinct(columns);
  for (const ArrayColumn& column : columns) {
    require(column.name != "label" || column.role == ArrayRole::label, Exit::data,
            "{}: expected integers [N], found {}; call the array otherwise if it holds no classes",
            column.array.where, describe(column.array));
    if (column.array.name.find('/') != std::string::npos)
      log::warn("{}: is the field {}", column.array.where, column.name);
  }
}

}  // namespace

std::string describe(const Array& array) {
  const char* kind = array.element.kind == 'u'   ? "uint"
                     : array.element.kind == 'i' ? "int"
                     : array.element.kind == 'f' ? "float"
                                                 : "bool";
  return fmt::format("{}{} [{}]", kind, array.element.bytes * 8, fmt::join(array.shape, ", "));
}

bool is_integer(const Array& array) {
  return array.element.kind != 'f';
}

bool is_bytes(const Array& array) {
  return (array.element.kind == 'u' && array.element.bytes <= 2) || array.element.kind == 'b';
}

std::vector<ArrayColumn> columns_of(std::vector<Array> arrays, const PackRequest& request) {
  std::vector<ArrayColumn> columns;
  for (Array& array : arrays) columns.push_back({.array = std::move(array)});
  choose_part(columns, request);
  require_distinct(columns);
  require(!columns.empty(), Exit::data, "{}: expected arrays of numbers, found none", request.source);
  find_roles(columns, request);
  drop_unreadable(columns);
  put_main_first(columns, request);
  keep_equal_lengths(columns);
  check_names(columns);
  return columns;
}

}  // namespace saddle
