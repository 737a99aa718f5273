#include "data/pack/arrays/array_labels.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <set>

#include "data/pack/arrays/array_values.h"
#include "data/pack/classes.h"
#include "data/pack/files/room.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr int64_t kMostClasses = 1 << 20, kBlock = 4096;

using Codes = std::vector<int32_t>;

Array array_of(const Array& from, Codes codes) {
  Array out{.name = from.name,
            .where = from.where,
            .element = {.kind = 'i', .bytes = 4},
            .shape = {int64_t(codes.size())}};
  out.read = [all = std::make_shared<const Codes>(std::move(codes))](int64_t first, int64_t count, char* to) {
    std::copy_n(reinterpret_cast<const char*>(all->data() + first), count * int64_t(sizeof(int32_t)), to);
  };
  return out;
}

std::optional<int64_t> whole(const std::string& text) {
  int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return out;
}

// Each row's label, -1 where it has none: a whole number, or the place of the only 1 among zeros.
torch::Tensor labels_in(const torch::Tensor& rows) {
  if (rows.size(1) == 1) {
    const torch::Tensor value = rows.select(1, 0);
    const torch::Tensor fits = (value == value.floor()) & (value >= 0) & (value < double(kMostClasses));
    return torch::where(fits, value, -1.0).to(torch::kLong);
  }
  const torch::Tensor ones = rows == 1;
  const torch::Tensor fits = (ones | (rows == 0)).all(1) & (ones.sum(1) == 1);
  return torch::where(fits, ones.to(torch::kInt).argmax(1), -1);
}

// All of them, since their classes must be known: 4 bytes a sample.
Codes read_labels(const Array& array, int64_t most) {
  Codes labels;  // grows as they are found, not as they are claimed
  for (int64_t first = 0; first < array.shape[0]; first += kBlock) {
    const int64_t count = std::min(kBlock, array.shape[0] - first);
    const torch::Tensor block =
        converted(array, items(array, first, count), torch::kLong, first).flatten().contiguous();
    const int64_t* values = block.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i) {
      require(values[i] >= 0 && values[i] < kMostClasses, Exit::data,
              "{}: expected labels from 0 to {}, found {} at {}", array.where, kMostClasses - 1, values[i],
              first + i);
      labels.push_back(int32_t(values[i]));
    }
    require_room(array.where, fmt::format("{} labels", array.shape[0]),
                 double(labels.size() * sizeof(int32_t)), most);
  }
  return labels;
}

// Of few samples each may well be of a class of its own.
void require_classes(const Array& array, const Codes& labels) {
  constexpr size_t kFew = 10;
  if (labels.size() <= kFew || std::set<int32_t>(labels.begin(), labels.end()).size() < labels.size()) return;
  const std::string hint =
      array.class_names.empty() ? "call it otherwise to keep its numbers" : "list them for --classes";
  fail(Exit::data, "{}: holds as many classes as samples, {}, as numbers and ids do; remove it, or {}",
       array.where, labels.size(), hint);
}

// As --classes numbers them, or as the array itself does.
std::vector<std::string> number_names(const Array& array, Codes& labels, const PackRequest& request,
                                      std::vector<std::string>& notes) {
  std::set<std::string> used;
  for (const int32_t label : labels) used.insert(array.class_names[size_t(label)]);
  if (request.classes.empty()) {
    note_unused(array.class_names, used, notes);
    return array.class_names;
  }
  const auto names = class_names(request, {used.begin(), used.end()}, notes);
  std::map<std::string, int32_t> number;
  for (size_t k = 0; k < names.size(); ++k) number.emplace(names[k], int32_t(k));
  for (int32_t& label : labels) label = number.at(array.class_names[size_t(label)]);
  return names;
}

}  // namespace

const std::vector<std::string>& label_names() {
  static const std::vector<std::string> names{"label", "labels", "y", "Y", "target", "targets"};
  return names;
}

bool is_label_name(const std::string& name) {
  const std::string base = array_base(name);
  return std::find(label_names().begin(), label_names().end(), base) != label_names().end();
}

Array text_labels(const std::string& name, const std::string& where, const std::vector<std::string>& texts) {
  const std::set<std::string> different(texts.begin(), texts.end());
  require(int64_t(different.size()) <= kMostClasses, Exit::data, "{}: holds more than {} classes", where,
          kMostClasses);
  std::vector<std::string> names(different.begin(), different.end());
  if (std::all_of(names.begin(), names.end(), [](const auto& each) { return whole(each).has_value(); }))
    std::stable_sort(names.begin(), names.end(),
                     [](const auto& a, const auto& b) { return *whole(a) < *whole(b); });
  std::map<std::string, int32_t> number;
  for (size_t k = 0; k < names.size(); ++k) number.emplace(names[k], int32_t(k));
  Codes codes;
  for (const std::string& text : texts) codes.push_back(number.at(text));
  return numbered_labels(name, where, std::move(codes), std::move(names));
}

Array numbered_labels(const std::string& name, const std::string& where, std::vector<int32_t> labels,
                      std::vector<std::string> names) {
  Array out = array_of({.name = name, .where = where, .element = {}, .shape = {}}, std::move(labels));
  out.class_names = std::move(names);
  return out;
}

std::optional<Array> as_labels(const Array& array, std::vector<std::string>& notes) {
  if (array.shape.size() > 2) return {};
  const int64_t count = array.shape[0], width = array.shape.size() == 2 ? array.shape[1] : 1;
  Codes codes;
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t some = std::min(kBlock, count - first);
    const torch::Tensor labels =
        labels_in(items(array, first, some).to(torch::kDouble).reshape({some, width}));
    if (labels.min().item<int64_t>() < 0) return {};
    const torch::Tensor block = labels.to(torch::kInt).contiguous();
    codes.insert(codes.end(), block.const_data_ptr<int32_t>(), block.const_data_ptr<int32_t>() + some);
  }
  Array out = array_of(array, std::move(codes));
  if (width > 1) out.classes = width;
  notes.push_back(fmt::format("{} holds {}", to_utf8(array.name),
                              width > 1 ? "vectors of one 1 among zeros: the place of the 1 is the label"
                                        : "whole numbers as floats: they are the labels"));
  return out;
}

ArrayField label_field_of(const ArrayColumn& column, const PackRequest& request,
                          std::vector<std::string>& notes) {
  Codes found = read_labels(column.array, request.most_bytes());
  if (request.classes.empty()) require_classes(column.array, found);
  std::vector<std::string> names;
  if (!column.array.class_names.empty()) names = number_names(column.array, found, request, notes);
  const int64_t classes = names.empty() ? std::max<int64_t>(column.array.classes,
                                                            *std::max_element(found.begin(), found.end()) + 1)
                                        : int64_t(names.size());
  const auto labels = std::make_shared<const Codes>(std::move(found));
  const auto label = [labels](int64_t i) { return int64_t{(*labels)[size_t(i)]}; };
  return {.field = label_field(classes, names),
          .read = [label](int64_t i) { return torch::tensor({label(i)}); },
          .label = label};
}

}  // namespace saddle
