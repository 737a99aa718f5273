#include "data/pack/classes.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "data/pack/files/files.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr size_t kShown = 5;

std::vector<std::string> lines_of(const std::string& text) {
  const bool old = text.find('\n') == std::string::npos;  // as Mac OS 9 ended lines
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(old ? '\r' : '\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    if (out.back().ends_with('\r')) out.back().pop_back();
    at = end + 1;
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

std::string shortened(std::vector<std::string> names) {
  const size_t all = names.size();
  names.resize(std::min(all, kShown));
  for (std::string& name : names) name = readable(name);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     all > kShown ? fmt::format(" and {} more", all - kShown) : "");
}

}  // namespace

std::vector<std::string> read_class_names(const std::string& path) {
  constexpr uintmax_t kMost = 64 << 20;
  require_reachable(path);
  std::error_code unknown;  // said by who reads it
  const uintmax_t bytes = std::filesystem::file_size(path, unknown);
  require(unknown || bytes <= kMost, Exit::data,
          "--classes {}: expected the names of classes, at most {} MiB, found {}; is it another file?", path,
          kMost >> 20, bytes >> 20);
  std::string text = read_file(path);
  require(!text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), Exit::data,
          "--classes {}: expected UTF-8, found UTF-16; save it as UTF-8", path);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  const std::vector<std::string> names = lines_of(text);
  require(!names.empty(), Exit::data, "--classes {}: expected one name a line, found none", path);
  std::map<std::string, size_t> lines;
  for (size_t i = 0; i < names.size(); ++i) {
    require(!names[i].empty(), Exit::data,
            "--classes {}: line {} is empty; expected the name of class {}, for classes are numbered by line",
            path, i + 1, i);
    const auto [at, fresh] = lines.emplace(names[i], i + 1);
    require(fresh, Exit::data, "--classes {}: lines {} and {} are both {}", path, at->second, i + 1,
            readable(names[i]));
  }
  return names;
}

void note_unused(const std::vector<std::string>& names, const std::set<std::string>& used,
                 std::vector<std::string>& notes) {
  std::vector<std::string> without;
  for (size_t i = 0; i < names.size(); ++i)
    if (!used.contains(names[i])) without.push_back(fmt::format("{} {}", i, names[i]));
  if (without.empty()) return;
  notes.push_back(fmt::format("{} of {} classes have no sample and keep their numbers: {}", without.size(),
                              names.size(), shortened(without)));
}

std::vector<std::string> class_names(const PackRequest& request, const std::vector<std::string>& used,
                                     std::vector<std::string>& notes,
                                     const std::vector<std::string>& unused) {
  const std::set<std::string> present(used.begin(), used.end());
  std::vector<std::string> names;
  if (request.classes.empty()) {
    std::set<std::string> all = present;
    all.insert(unused.begin(), unused.end());
    names.assign(all.begin(), all.end());
  } else {
    names = read_class_names(request.classes);
    const std::set<std::string> known(names.begin(), names.end());
    std::vector<std::string> strange;
    for (const std::string& name : present)
      if (!known.contains(name)) strange.push_back(name);
    require(strange.empty(), Exit::data, "--classes {}: lacks {} of the {} classes in {}: {}",
            request.classes, strange.size(), present.size(), request.source, shortened(strange));
  }
  note_unused(names, present, notes);
  return names;
}

namespace {

// Numbers of classes without a sample, as ranges: "1 to 999, 1001".
void note_unused_numbers(Source& source, const Field& field) {
  if (!source.label || field.classes < 1) return;
  std::vector<bool> used(size_t(field.classes));
  for (int64_t i = 0; i < source.count; ++i) used.at(size_t(source.label(i))) = true;
  std::vector<std::string> without;
  const auto unused = std::count(used.begin(), used.end(), false);
  for (size_t first = 0; first < used.size(); ++first) {
    if (used[first]) continue;
    size_t last = first;
    while (last + 1 < used.size() && !used[last + 1]) ++last;
    const bool named = !field.class_names.empty() && first == last;
    without.push_back(first < last ? fmt::format("{} to {}", first, last)
                      : named      ? fmt::format("{} {}", first, field.class_names[first])
                                   : std::to_string(first));
    first = last;
  }
  if (unused > 0)
    source.notes.push_back(fmt::format("{} of {} classes have no sample and keep their numbers: {}", unused,
                                       used.size(), shortened(without)));
}

}  // namespace

void name_classes(Source& source, const PackRequest& request) {
  require(request.classes.empty() || source.schema.has("label"), Exit::usage,
          "--classes: {} has no labels, so it has no classes", request.source);
  for (Field& field : source.schema.fields) {
    if (field.name != "label" || !field.class_names.empty()) continue;
    if (!request.classes.empty()) {
      const std::vector<std::string> names = read_class_names(request.classes);
      require(field.classes <= int64_t(names.size()), Exit::data,
              "--classes {}: has {} names, but the labels of {} go up to {}", request.classes, names.size(),
              request.source, field.classes - 1);
      field.classes = int64_t(names.size());
      for (const std::string& name : names) field.class_names.push_back(escape_bytes(name));
    }
    note_unused_numbers(source, field);
  }
}

}  // namespace saddle
