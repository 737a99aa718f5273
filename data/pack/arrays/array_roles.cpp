#include "data/pack/arrays/array_roles.h"

#include <algorithm>
#include <map>
#include <optional>

#include "data/pack/arrays/array_labels.h"
#include "data/pack/arrays/array_values.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

using Names = std::vector<std::string>;

const Names kFeatures{"x", "X", "features", "data", "arr_0"};

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_label(const ArrayColumn& column) {
  const auto& shape = column.array.shape;
  return is_integer(column.array) && (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1));
}

// Numbers that are called labels, and yet are none, are no features either.
bool is_features(const ArrayColumn& column) {
  return column.array.element.kind == 'f' && column.array.shape.size() == 2 &&
         !contains(label_names(), column.base);
}

bool is_pictorial(const ArrayColumn& column) {
  return column.array.shape.size() == 3 || column.array.shape.size() == 4;
}

bool is_byte_pictures(const ArrayColumn& column) {
  return is_bytes(column.array) && is_pictorial(column);
}

bool is_map(const Array& array) {
  const auto& shape = array.shape;
  return is_integer(array) && (shape.size() == 3 || (shape.size() == 4 && (shape[1] == 1 || shape[3] == 1)));
}

// The first array without a role, by the order of `names`, that is named so and `fits`; else, with `or_only`,
// the only one that fits; else none.
template <class Fits>
ArrayColumn* pick(std::vector<ArrayColumn>& columns, const Names& names, Fits fits, bool or_only) {
  const auto free = [&](const ArrayColumn& column) {
    return column.role == ArrayRole::other && fits(column);
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

// "x_test, y_test" of many, shortened.
std::string listed(const Names& names) {
  constexpr size_t kShown = 5;
  const Names shown(names.begin(), names.begin() + std::ptrdiff_t(std::min(kShown, names.size())));
  return fmt::format("{}{}", fmt::join(shown, ", "),
                     names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : "");
}

// Leaves out the parts that are not asked for, and takes the marks off the others.
void choose_part(std::vector<ArrayColumn>& columns, const PackRequest& request, Names& notes) {
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
  std::map<std::string, Names> others;
  std::erase_if(columns, [&](ArrayColumn& column) {
    const auto mark = marked(column.array.name);
    set_name(column, mark ? mark->rest : column.array.name);
    if (!mark || mark->part == wanted) return false;
    others[mark->part].push_back(to_utf8(column.array.name));
    return true;
  });
  for (const auto& [part, names] : others)
    notes.push_back(
        left_out_note(listed(names), fmt::format("of the part {0}, which --split {0} packs", part)));
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
  require(request.axes != "auto" || shape.size() != 3 || (shape[2] != 3 && shape[2] != 4) || shape[1] < 8,
          Exit::usage,
          "{}: cannot tell whether {} are grey pictures {} pixels wide or one picture in colour; pass --axes "
          "NHW if "
          "they are, or store the one as [1, H, W, C]",
          column.array.where, describe(column.array), shape.back());
}

void find_maps(std::vector<ArrayColumn>& columns) {
  static const Names kMaps{"mask",       "masks",      "segmentation", "segmentations",
                           "seg",        "annotation", "annotations",  "label_map",
                           "label_maps", "labelmap",   "labelmaps",    "label",
                           "labels",     "target",     "targets",      "y",
                           "Y"};
  const auto other = [&](const ArrayColumn& column) {
    return is_pictorial(column) && !contains(kMaps, column.base);
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

bool may_be_colours(const Array& array, const std::string& axes) {
  const auto& shape = array.shape;
  const auto depth = [](int64_t extent) { return extent == 1 || extent == 3 || extent == 4; };
  return shape.size() == 4 && (axes == "NCHW" || axes == "NHWC" || depth(shape[1]) || depth(shape[3]));
}

// Where several arrays may be pictures and no name tells, those of bytes are, and the first is the main one.
ArrayColumn* first_of_several(std::vector<ArrayColumn>& columns, const PackRequest& request, bool features,
                              Names& notes) {
  std::vector<ArrayColumn*> bytes, numbers;
  for (ArrayColumn& column : columns) {
    const bool grey = column.array.shape.size() == 3 && (request.axes == "auto" || request.axes == "NHW");
    if (column.role != ArrayRole::other || !(grey || may_be_colours(column.array, request.axes))) continue;
    (is_bytes(column.array) ? bytes : numbers).push_back(&column);
  }
  const auto names = [](const std::vector<ArrayColumn*>& all) {
    Names out;
    for (const ArrayColumn* each : all) out.push_back(each->name);
    return listed(out);
  };
  if (bytes.size() == 1) bytes[0]->name = "image";
  if (bytes.size() > 1)
    notes.push_back(
        fmt::format("{} are pictures; nets draw the first, or the one that is called image", names(bytes)));
  if (!bytes.empty()) return bytes[0];
  require(features || numbers.size() < 2, Exit::usage,
          "{}: cannot tell which of {} are the pictures; call one image, or pass --axes none if none is",
          request.source, names(numbers));
  return nullptr;
}

void find_pictures(std::vector<ArrayColumn>& columns, const PackRequest& request, Names& notes) {
  static const Names kPictures{"image", "images", "imgs",     "img",  "x",
                               "X",     "arr_0",  "pictures", "data", "features"};
  const Names numbers(kPictures.begin(), kPictures.end() - 1);  // features of a net are none
  ArrayColumn* main = pick(columns, kPictures, is_byte_pictures, true);
  const bool features = std::any_of(columns.begin(), columns.end(), is_features);
  if (!main) main = pick(columns, numbers, is_pictorial, /*or_only=*/!features);
  if (main) {
    require_pictures(*main, request);
    assign(main, ArrayRole::picture, "image");
  } else if (main = first_of_several(columns, request, features, notes); main) {
    main->role = ArrayRole::picture;
  } else {
    return;
  }
  const auto& shape = main->array.shape;
  for (ArrayColumn& column : columns) {  // a second side of pairs, and the like
    const auto& own = column.array.shape;
    const bool colours =
        own.size() == 4 && (own == shape || own[1] == 1 || own[1] == 3 || own[3] == 1 || own[3] == 3);
    const bool grey = own.size() == 3 && own[1] == shape[shape.size() == 3 || shape[1] > 4 ? 1 : 2];
    if (column.role == ArrayRole::other && is_bytes(column.array) && (colours || grey))
      column.role = ArrayRole::picture;
  }
}

// What is called labels but holds no integers may stand for some; else it is a field under its own name.
ArrayColumn* make_label(std::vector<ArrayColumn>& columns, Names& notes) {
  for (const std::string& name : label_names())
    for (ArrayColumn& column : columns) {
      Array& array = column.array;
      if (column.base != name || array.shape.size() > 2 || !array.problem.empty()) continue;
      if (auto labels = as_labels(array, notes)) {
        array = std::move(*labels);
        return &column;
      }
      notes.push_back(
          fmt::format("{} holds numbers that are no classes: neither whole ones from 0 on, one a "
                      "sample, nor a 1 among zeros; it is a field, no label",
                      to_utf8(array.name)));
    }
  return nullptr;
}

void find_roles(std::vector<ArrayColumn>& columns, const PackRequest& request, Names& notes) {
  Names features = kFeatures;
  ArrayColumn* label = pick(columns, label_names(), is_label, false);
  assign(label ? label : make_label(columns, notes), ArrayRole::label, "label");
  if (request.axes != "none") find_maps(columns), find_pictures(columns, request, notes);
  if (std::count_if(columns.begin(), columns.end(), is_features) > 1) features = {"x", "X"};
  assign(pick(columns, features, is_features, true), ArrayRole::features, "x");
}

// Names of classes that are no labels, and arrays that cannot be read.
void drop_unusable(std::vector<ArrayColumn>& columns, const PackRequest& request, Names& notes) {
  std::erase_if(columns, [&](const ArrayColumn& column) {
    const bool names = !column.array.class_names.empty() && column.role == ArrayRole::other;
    if (column.array.problem.empty() && !names) return false;
    require(names || (column.role == ArrayRole::other && columns.size() > 1), Exit::data, "{}: {}",
            column.array.where, column.array.problem);
    notes.push_back(
        left_out_note(column.array.name, names ? "there are other labels" : column.array.problem));
    return true;
  });
  require(!columns.empty(), Exit::data, "{}: expected arrays of numbers, found only texts", request.source);
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
void keep_equal_lengths(std::vector<ArrayColumn>& columns, Names& notes) {
  const Array main = columns.front().array;
  std::erase_if(columns, [&](const ArrayColumn& column) {
    if (column.array.shape[0] == main.shape[0]) return false;
    require(column.role != ArrayRole::label, Exit::data,
            "{}: expected {} labels, one for each item of {}, found {}", column.array.where, main.shape[0],
            main.where, column.array.shape[0]);
    notes.push_back(left_out_note(column.array.name,
                                  fmt::format("its length is {}, not {} as of {}", column.array.shape[0],
                                              main.shape[0], to_utf8(main.name))));
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

void check_names(const std::vector<ArrayColumn>& columns, Names& notes) {
  require_distinct(columns);
  for (const ArrayColumn& column : columns) {
    require(column.name != "label" || column.role == ArrayRole::label, Exit::data,
            "{}: expected integers [N], found {}; call the array otherwise if it holds no classes",
            column.array.where, describe(column.array));
    if (column.array.name.find('/') != std::string::npos)
      notes.push_back(fmt::format("{} is the field {}", to_utf8(column.array.name), column.name));
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

bool is_bytes(const Array& array) {
  return (array.element.kind == 'u' && array.element.bytes <= 2) || array.element.kind == 'b';
}

std::string array_base(const std::string& name) {
  const auto mark = marked(name);
  ArrayColumn column;
  set_name(column, mark ? mark->rest : name);
  return column.base;
}

std::vector<ArrayColumn> columns_of(std::vector<Array> arrays, const PackRequest& request, Names& notes) {
  std::vector<ArrayColumn> columns;
  for (Array& array : arrays) columns.push_back({.array = std::move(array)});
  choose_part(columns, request, notes);
  require_distinct(columns);
  require(!columns.empty(), Exit::data, "{}: expected arrays of numbers, found none", request.source);
  find_roles(columns, request, notes);
  drop_unusable(columns, request, notes);
  put_main_first(columns, request);
  keep_equal_lengths(columns, notes);
  check_names(columns, notes);
  return columns;
}

}  // namespace saddle
